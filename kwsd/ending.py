"""Runs a program and ends its process with the right exit code and at most one error message."""

import io
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from kwsd.errors import KwsdError, OutputError
from kwsd.log import open_closed_streams, print_error

INTERRUPT_EXIT_CODE = 130
"""Exit code after Ctrl+C. Shells use 128 plus the number of the signal."""


def run_and_exit(program: Callable[[], object]) -> None:
    """Run a program and end the process. An expected error prints one sentence and sets its exit code."""
    open_closed_streams()
    try:
        _run_program(program)
    except SystemExit as end:
        # Looked up, not imported: commands that do not capture audio need not load the module.
        capture = sys.modules.get("kwsd.audio.capture")
        if capture and capture.left_behind():
            # A thread still reads from a device. The exit handlers of the sound libraries would crash because of it.
            code = _exit_code(end)
            sys.stdout.flush()
            os._exit(code)
        raise


def treat_as_ctrl_c(*signals: signal.Signals) -> None:
    """Let these signals and SIGINT raise `KeyboardInterrupt`, so that a program can clean up before it ends.

    Only the first signal does so, because the next one would interrupt the clean-up. SIGHUP stays ignored if nohup(1)
    started the program, and SIGINT if a script started it in the background.
    """
    ignored = {number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) == signal.SIG_IGN}
    caught = {*signals, signal.SIGINT} - ignored

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in caught:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in caught:
        signal.signal(number, interrupt)


def _run_program(program: Callable[[], object]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A reader gets each line at once, and a full disk is noticed while an error can still be reported.
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
        if _is_debugging():
            traceback.print_exc()
        print_error(str(OutputError(f"cannot go on: {_describe_os_error(error)}")))
        # At exit Python would try again to write the output that could not be written.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  open until the process ends
        sys.exit(OutputError.exit_code)


def _describe_os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{reason}: {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else reason


def _is_debugging() -> bool:
    """Whether the daemon or the environment asks for the log level debug; only the daemon sets up logging."""
    return logging.getLogger().isEnabledFor(logging.DEBUG) or os.environ.get("KWSD_LOG_LEVEL") == "debug"


def _exit_code(end: SystemExit) -> int:
    """The exit code that Python would use. It prints any value that is neither an integer nor None, and returns 1."""
    if isinstance(end.code, int):
        return end.code
    if end.code is None:
        return 0
    sys.stderr.write(f"{end.code}\n")
    return 1
