"""Runs a program of kwsd, and ends the process with the right exit code and at most one error message."""

import logging
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple, NoReturn

from kwsd.errors import InternalError, KwsdError, LibraryError, OutputError, ResourceError
from kwsd.log import discard_stdout, drain_stderr, prepare_streams, print_error, write_message

INTERRUPT_EXIT_CODE = 130
"""Exit code of a program that Ctrl+C has ended. Shells report 128 plus the signal number as the exit code of a process
that a signal has ended."""

READER_ENDED_EXIT_CODE = 1
"""Exit code of kwsd if the program that reads its output, for example ``head``, has already ended."""

MIN_OPEN_FILES = 64
"""Minimum limit of open files for a program of kwsd. ZeroMQ aborts the process if the limit of open files is lower."""

PROGRAM_PACKAGES = {"kwsd", "kwsd_train"}
"""Import names of the Python packages of this project."""

PACKAGES = {"ai_edge_litert": "ai-edge-litert", "zmq": "pyzmq", "_cffi_backend": "cffi", "_soundfile": "soundfile"}
"""Maps the import name of a library to the name of its Python package, if the two names differ."""

SYSTEM_PACKAGES = {"soundfile": "libsndfile1", "sounddevice": "libportaudio2"}
"""Maps the import name of a Python library to the Debian package of the C library that it loads."""


def run_and_exit(program: Callable[[], object], name: str = "kwsd") -> NoReturn:
    """Run a program, and end the process when the program returns or fails.

    If the program raises an error, print one sentence about the error, and use the exit code of the error.

    Parameters
    ----------
    program : callable
        Main function of the program. The function may raise any exception, including `SystemExit`.
    name : str
        Program name that is printed at the start of each error message.
    """
    prepare_streams(name)
    code = _run_program(program)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or _report_error(error)
    drain_stderr()
    # Looked up, not imported: commands that do not capture audio need not load the module.
    capture = sys.modules.get("kwsd.audio.capture")
    if capture and capture.left_behind():
        # A thread still reads from a device. The exit handlers of the sound libraries would crash because of it.
        os._exit(code)
    sys.exit(code)


def treat_as_ctrl_c(*signals: signal.Signals) -> None:
    """Let the given signals and SIGINT raise `KeyboardInterrupt`, so that a program can clean up before it ends.

    Only the first signal raises the exception, because a second exception would interrupt the clean-up. SIGHUP stays
    ignored if nohup(1) started the program. SIGINT stays ignored if a script started the program in the background.
    """
    ignored = {number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) == signal.SIG_IGN}
    caught = {*signals, signal.SIGINT} - ignored

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in caught:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in caught:
        signal.signal(number, interrupt)


def _run_program(program: Callable[[], object]) -> int:
    """Run a program, and return its exit code."""
    try:
        _allow_open_files()
        program()
    except SystemExit as end:
        return _exit_code(end)
    except KeyboardInterrupt:
        return INTERRUPT_EXIT_CODE
    except Exception as error:  # noqa: BLE001  the last place that can turn it into one sentence
        return _report_error(error)
    return 0


def _report_error(error: Exception) -> int:
    """Print one sentence about an error, and return the exit code for the error."""
    if isinstance(error, BrokenPipeError):
        discard_stdout()
        return READER_ENDED_EXIT_CODE
    known = error if isinstance(error, KwsdError) else _translate_error(error)
    if known is not error and _is_debugging():
        traceback.print_exception(error)
    if isinstance(known, OutputError):
        discard_stdout()
    print_error(str(known))
    return known.exit_code


def _translate_error(error: Exception) -> KwsdError:
    """Convert an error that has ended a program to the corresponding error class of kwsd."""
    if isinstance(error, MemoryError):
        return ResourceError("there is not enough memory")
    if failed := find_failed_import(error):
        return LibraryError(f"{failed.problem}; install it with  {failed.cure}")
    if isinstance(error, OSError):
        return OutputError(f"cannot go on: {_describe_os_error(error)}")
    if "can't start new thread" in str(error):
        return ResourceError("the system does not allow another thread")
    # ZeroMQ's errors are not errors of the operating system for Python, but they have its numbers.
    if isinstance(number := getattr(error, "errno", None), int):
        return ResourceError(f"cannot go on: {os.strerror(number)}")
    place = _find_place(error)
    return InternalError(f"internal error{place}: {type(error).__name__}: {error}; please report it")


class FailedImport(NamedTuple):
    """A library that could not be imported.

    Parameters
    ----------
    problem : str
        Name of the library, and the reason why the import failed.
    cure : str
        Command that installs the missing library.
    """

    problem: str
    cure: str


def find_failed_import(error: Exception) -> FailedImport | None:
    """Return the library that could not be imported, or None if the error has another cause.

    The import of a library may raise any error, for example if a file of the library is missing or damaged.
    """
    name = next(_importing_libraries(error.__traceback__), "")
    if isinstance(error, ImportError) and not name:
        name = (error.name or "").partition(".")[0]
        if not name or name in PROGRAM_PACKAGES:
            return None
    if not name:
        return None
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    cure = f"pip install --force-reinstall {PACKAGES.get(name, name)}"
    if name in SYSTEM_PACKAGES and isinstance(error, OSError):
        cure += f"  or  apt install {SYSTEM_PACKAGES[name]}"
    return FailedImport(f"the library {name} cannot be loaded ({reason})", cure)


def _importing_libraries(trace: TracebackType | None) -> Iterator[str]:
    """Return the libraries that were being imported when an error was raised, with the outermost import first."""
    for frame, _ in traceback.walk_tb(trace):
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and name not in {*PROGRAM_PACKAGES, "__main__"}:
            yield name


def _find_place(error: Exception) -> str:
    """Return the line of kwsd's source code that raised an error, for a bug report."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in PROGRAM_PACKAGES and module != __name__:
            return f" in {module}, line {line}"
    return ""


def _describe_os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    if isinstance(error.filename, str | bytes):
        return f"{reason}: {os.fsdecode(error.filename)}"
    try:
        Path.cwd()
    except OSError:
        return f"{reason}: the current folder does not exist or cannot be read"
    return reason


def _allow_open_files() -> None:
    """Raise this process's limit of open files to the minimum that kwsd needs.

    Raises
    ------
    ResourceError
        The limit of open files cannot be raised.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < MIN_OPEN_FILES:
        if 0 <= hard < MIN_OPEN_FILES:
            raise ResourceError(
                f"this process may open only {hard} files, but needs {MIN_OPEN_FILES}: raise the limit (ulimit -n)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (MIN_OPEN_FILES, hard))


def _is_debugging() -> bool:
    """Whether the daemon's log level or the environment asks for debug output. Only the daemon sets up logging."""
    return logging.getLogger().isEnabledFor(logging.DEBUG) or os.environ.get("KWSD_LOG_LEVEL") == "debug"


def _exit_code(end: SystemExit) -> int:
    """Return the exit code that Python would use for the value of a `SystemExit`.

    If the value of the `SystemExit` is neither an integer nor None, print the value and return 1.
    """
    if isinstance(end.code, int):
        return end.code
    if end.code is None:
        return 0
    write_message(f"{end.code}\n")
    return 1
