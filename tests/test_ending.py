"""The end of a process: its exit code, its message, and what happens when standard error is closed."""

import subprocess
import sys

import pytest
from helpers.command import Command

OPEN_MISSING_FILE = """
from kwsd.ending import run_and_exit
run_and_exit(lambda: open("/nowhere/notes.txt"))
"""

EXIT_BESIDE_A_CAPTURE_THREAD = """
import sys
from threading import Event, Thread
from kwsd.audio import capture
from kwsd.ending import run_and_exit
Thread(target=Event().wait, name=capture.THREAD, daemon=True).start()
run_and_exit(lambda: sys.exit({code!r}))
"""

LOAD_MODEL = """
import os, kwsd
kwsd.load_model()
try:
    os.fstat(2)
except OSError:
    print("still closed")
"""


def python(kwsd: Command, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env=kwsd.environment | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def without(streams: str, *command: str, kwsd: Command) -> subprocess.CompletedProcess[str]:
    """Run a command with some of its standard streams closed, such as ``2>&-``."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {streams}', "-", *command],
        env=kwsd.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unexpected_system_error_names_its_file(kwsd: Command) -> None:
    done = python(kwsd, OPEN_MISSING_FILE)
    assert done.returncode == 74
    assert done.stderr == "kwsd: cannot go on: No such file or directory: /nowhere/notes.txt\n"


def test_the_log_level_debug_shows_where_an_unexpected_system_error_came_from(kwsd: Command) -> None:
    done = python(kwsd, OPEN_MISSING_FILE, KWSD_LOG_LEVEL="debug")
    first, *_, last = done.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last == "kwsd: cannot go on: No such file or directory: /nowhere/notes.txt"


@pytest.mark.parametrize(
    ("code", "expected", "message"), [(None, 0, ""), (0, 0, ""), (3, 3, ""), ("out of paper", 1, "out of paper\n")]
)
def test_a_capture_thread_that_still_runs_does_not_change_the_exit_code(
    kwsd: Command, code: object, expected: int, message: str
) -> None:
    done = python(kwsd, EXIT_BESIDE_A_CAPTURE_THREAD.format(code=code))
    assert (done.returncode, done.stderr) == (expected, message)


def test_a_model_loads_without_standard_error_which_stays_closed(kwsd: Command) -> None:
    done = without("2>&-", sys.executable, "-c", LOAD_MODEL, kwsd=kwsd)
    assert (done.returncode, done.stdout) == (0, "still closed\n")


@pytest.mark.parametrize("streams", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_daemon_without_standard_streams_ends_with_its_exit_code(kwsd: Command, streams: str) -> None:
    assert without(streams, kwsd.program, "run", "--device", "-", kwsd=kwsd).returncode == 65
    assert without(streams, kwsd.program, "run", "--device", "file:none.wav", kwsd=kwsd).returncode == 65


def test_a_daemon_without_standard_error_spots_keywords_in_a_file(kwsd: Command, two_words: str) -> None:
    assert without("2>&-", kwsd.program, "run", "--device", f"file:{two_words}", kwsd=kwsd).returncode == 0
