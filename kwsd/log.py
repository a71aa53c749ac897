"""Messages on standard error: with priorities for the journal, coloured in a terminal, plain in a file."""

import faulthandler
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TextIO

LogLevel = Literal["debug", "info", "warning", "error"]

STDOUT = 1
STDERR = 2
"""File descriptors of the standard streams, fixed by POSIX."""

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Maps logging levels to syslog priorities; see sd-daemon(3)."""


class JournalFormatter(logging.Formatter):
    """Puts the priority at the start of every line. The journal adds the time."""

    def format(self, record: logging.LogRecord) -> str:
        """The message of a record, with the priority before each of its lines."""
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def open_closed_streams() -> None:
    """Open the null device as standard output and standard error if the process was started without them.

    Otherwise the next file or socket would get the number 1 or 2, and C libraries would write their messages to it.
    """
    if sys.stdout is None:
        sys.stdout = _open_null(STDOUT)
    if sys.stderr is None:
        sys.stderr = _open_null(STDERR)


def _open_null(descriptor: int) -> TextIO:
    _point_to_null(descriptor)
    return os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)


def _point_to_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    # Child processes must inherit their standard streams.
    os.set_inheritable(descriptor, True)  # noqa: FBT003  it takes no keyword


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard what C and C++ libraries write to standard error during the block.

    File descriptor 2 belongs to the whole process: other threads lose their messages too.
    """
    saved = None
    with suppress(OSError):  # standard error may be closed
        saved = os.dup(STDERR)
    _point_to_null(STDERR)
    try:
        yield
    finally:
        if saved is None:
            os.close(STDERR)
        else:
            os.dup2(saved, STDERR)
            os.close(saved)


def silence_libraries() -> None:
    """Reserve standard error for this program's own messages until the process ends.

    PortAudio and ALSA print several lines at each attempt to open a missing device, and the daemon tries for hours.
    """
    if sys.stderr is None:
        return
    own = os.dup(sys.stderr.fileno())
    _point_to_null(STDERR)
    # Unbuffered: on a full disk a buffer would keep the lines and raise an error at exit.
    sys.stderr = io.TextIOWrapper(io.FileIO(own, "w"), errors="backslashreplace", write_through=True)
    # The message of a crashing library is lost, but the Python traceback of the crash is printed.
    faulthandler.enable(sys.stderr)


def set_up_logging(level: LogLevel) -> None:
    """Log messages of this level and above to standard error."""
    logging.basicConfig(level=level.upper(), handlers=[_create_handler()], force=True)


def _create_handler() -> logging.Handler:
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415  a service does not need it
        from rich.logging import RichHandler  # noqa: PLC0415

        return RichHandler(console=Console(stderr=True), show_path=False, log_time_format="[%X]")
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JournalFormatter("%(message)s") if _is_journal() else plain)
    return handler


def _is_journal() -> bool:
    """Whether standard error is the journal, whose device and inode are in JOURNAL_STREAM (systemd.exec(5))."""
    found = os.fstat(sys.stderr.fileno())
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def print_error(message: str) -> None:
    """Print an error message, one sentence, to standard error."""
    prefix = "<3>" if _is_journal() else "kwsd: "
    sys.stderr.write(f"{prefix}{message}\n")
