"""How a process of kwsd ends: with the exit code of what happened, and at most one sentence."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from kwsd.errors import KwsdError, OutputError
from kwsd.log import print_error

INTERRUPT_EXIT_CODE = 130
"""Exit code of a program that Ctrl+C ended, by the convention of shells: 128 and the number of the signal."""


def run_and_exit(program: Callable[[], object]) -> None:
    """Run a program, and end the process as it should: an error of ours is one sentence and its exit code."""
    try:
        _run_program(program)
    except SystemExit as end:
        # Looked up, not imported: commands that capture nothing need not load it.
        capture = sys.modules.get("kwsd.audio.capture")
        if capture and capture.left_behind():
            # A thread still reads from a device; the sound libraries' exit handlers would crash under it.
            sys.stdout.flush()
            os._exit(end.code if isinstance(end.code, int) else 0)
        raise


def _run_program(program: Callable[[], object]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A reader has each line at once, and a disk that is full is noticed while there is still somebody to say so.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        program()
        sys.exit()
    except KeyboardInterrupt:
        sys.exit(INTERRUPT_EXIT_CODE)
    except KwsdError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        print_error(f"cannot go on: {error.strerror or error}")
        # At its end Python would try once more to write what could not be written.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  open until the process ends
        sys.exit(OutputError.exit_code)
