"""The pipes of a process that a test has started with `subprocess.PIPE`."""

from subprocess import Popen
from typing import IO, AnyStr


def stdin_of(process: Popen[AnyStr]) -> IO[AnyStr]:
    """The pipe to the standard input of a process."""
    assert process.stdin is not None
    return process.stdin


def stdout_of(process: Popen[AnyStr]) -> IO[AnyStr]:
    """The pipe from the standard output of a process."""
    assert process.stdout is not None
    return process.stdout


def stderr_of(process: Popen[AnyStr]) -> IO[AnyStr]:
    """The pipe from the standard error of a process."""
    assert process.stderr is not None
    return process.stderr
