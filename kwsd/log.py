"""Writes all output of kwsd to its standard streams: log messages, and the output of commands.

This module cleans text that comes from outside kwsd, so the commands do not need to clean text themselves.
"""

import atexit
import faulthandler
import io
import logging
import os
import re
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from kwsd.system.text import clean_lines, clean_text

if TYPE_CHECKING:
    from rich.console import Console

LogLevel = Literal["debug", "info", "warning", "error"]

STDIN = 0
STDOUT = 1
STDERR = 2
"""File descriptors of the standard streams, as POSIX defines them."""

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Maps logging levels to syslog priorities; see sd-daemon(3)."""

NEVER_WRITTEN = re.compile("[\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, line separators and direction marks, which kwsd replaces with a question mark in messages. An
error message of Typer can quote these characters from the command line. Typer escapes other control characters."""

MAX_WAITING_CHARACTERS = 1 << 18
"""Maximum length of the text that waits to be written. The limit allows some thousand lines and uses little memory."""

WRITE_TIMEOUT_S = 0.5
"""Maximum number of seconds that a caller waits until a message is written. After a timeout, callers do not wait any
more until standard error accepts text again."""


class BackgroundStream(io.TextIOBase):
    """A text stream that writes to a file descriptor in a separate thread.

    A full pipe does not block the caller of this stream.

    If the waiting text exceeds `MAX_WAITING_CHARACTERS`, the oldest messages are discarded. When writing works again, a
    line reports the number of discarded messages.

    Parameters
    ----------
    descriptor : int
        File descriptor to which the thread writes. The file descriptor can change at any time.
    encoding : str
        Text encoding. Characters outside this encoding are written as Python escape sequences.
    program : str
        Program name at the start of error messages.

    """

    encoding = "utf-8"

    def __init__(self, descriptor: int, encoding: str = "utf-8", program: str = "kwsd") -> None:
        self.program = program
        self.descriptor = descriptor
        self.encoding = encoding
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._waiting_characters = 0
        self._busy = False
        self._stalled = False
        self._lost = 0
        self._thread: threading.Thread | None = None
        atexit.register(self.drain)

    def fileno(self) -> int:
        """Return the file descriptor to which the thread writes."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether the thread writes to a terminal."""
        return os.isatty(self.descriptor)

    def writable(self) -> bool:
        """Return True, because this stream accepts text."""
        return True

    def write(self, text: str) -> int:
        """Pass the text to the writing thread, and return immediately."""
        text = NEVER_WRITTEN.sub("?", text)
        with self._changed:
            self._waiting.append(text)
            self._waiting_characters += len(text)
            # The newest message stays: it may say why the program ends.
            while self._waiting_characters > MAX_WAITING_CHARACTERS and len(self._waiting) > 1:
                self._waiting_characters -= len(self._waiting.popleft())
                self._lost += 1
            self._changed.notify_all()
            # A forked process has no thread. A program without messages needs none.
            if not (self._thread and self._thread.is_alive()):
                self._thread = threading.Thread(target=self._write_all, name="kwsd-messages", daemon=True)
                self._thread.start()
        return len(text)

    def drain(self, timeout_s: float = WRITE_TIMEOUT_S) -> None:
        """Wait until all text is written. Return immediately if the previous wait has timed out."""
        end_s = time.monotonic() + timeout_s
        with self._changed:
            while (self._waiting or self._busy) and not self._stalled:
                if not self._changed.wait(end_s - time.monotonic()):
                    self._stalled = True

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                text, self._busy = self._waiting.popleft(), True
                self._waiting_characters -= len(text)
                lost, self._lost = self._lost, 0
            if lost:
                text = format_message(f"{lost} messages were lost because standard error was blocked or full") + text
            written = _write_to(self.descriptor, text.encode(self.encoding, "backslashreplace"))
            with self._changed:
                self._busy = self._stalled = False
                if not written:
                    self._lost += lost + 1
                self._changed.notify_all()


def _write_to(descriptor: int, data: bytes) -> bool:
    """Write all data, wait while the descriptor cannot accept more, and return whether all data was written."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            # Another program has set the terminal or pipe to non-blocking.
            select.select([], [descriptor], [])
        except OSError:
            return False
    return True


class CleanFormatter(logging.Formatter):
    """Formats a log record.

    Each message becomes one line of printable text, even if the message quotes unprintable characters. Only a traceback
    has more than one line.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name is logging's
        """Return a log record as one line."""
        record.message = clean_text(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: "logging._SysExcInfoType") -> str:  # noqa: N802  the name is logging's
        """Return the lines of a traceback."""
        return clean_lines(super().formatException(ei))


class JournalFormatter(CleanFormatter):
    """Puts the syslog priority at the start of every line.

    The line does not contain the time, because the journal adds the time.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the message of a log record, with the syslog priority before each line."""
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).split("\n"))


def prepare_streams(program: str) -> None:
    """Prepare the standard streams: open all of them, and prevent that writing blocks or fails because of a character.

    If a standard stream were closed, the next file could get its number, and C libraries would write messages to that
    file.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _point_to_null(descriptor, os.O_RDONLY if descriptor == STDIN else os.O_WRONLY)
            if descriptor != STDIN:  # standard input stays None, because a program must notice that it is closed
                setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A reader gets each line at once, and a full disk is noticed while an error can still be reported.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = BackgroundStream(STDERR, sys.stderr.encoding, program)


def _point_to_null(descriptor: int, flags: int = os.O_WRONLY) -> None:
    null = os.open(os.devnull, flags)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    # Child processes must inherit their standard streams.
    os.set_inheritable(descriptor, True)  # noqa: FBT003  it takes no keyword


def discard_stdout() -> None:
    """Discard all further output to standard output.

    Without this call, Python would try again at exit to write the remaining output.
    """
    with suppress(OSError):
        _point_to_null(STDOUT)


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard the text that C and C++ libraries write to standard error during the ``with`` block.

    File descriptor 2 belongs to the whole process, so messages of other threads are also discarded.
    """
    drain_stderr()
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

    PortAudio and ALSA print several lines at each attempt to open a missing device, and the daemon may try for hours.
    """
    if sys.stderr is None:
        return
    drain_stderr()
    own = os.dup(sys.stderr.fileno())
    _point_to_null(STDERR)
    if isinstance(sys.stderr, BackgroundStream):
        sys.stderr.descriptor = own
    else:
        sys.stderr = BackgroundStream(own, sys.stderr.encoding)
    # The message of a crashing library is lost, but the Python traceback of the crash is printed.
    faulthandler.enable(own)


def set_up_logging(level: LogLevel) -> None:
    """Write log messages of this level and above to standard error."""
    logging.basicConfig(level=level.upper(), handlers=[_create_handler()], force=True)
    # A handler that fails must not print a traceback for each message.
    logging.raiseExceptions = False


def _create_handler() -> logging.Handler:
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415  a service does not need it
        from rich.logging import RichHandler  # noqa: PLC0415

        handler: logging.Handler = RichHandler(console=Console(stderr=True), show_path=False, log_time_format="[%X]")
        handler.setFormatter(CleanFormatter("%(message)s"))
        return handler
    handler = logging.StreamHandler()
    plain = CleanFormatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JournalFormatter("%(message)s") if _is_journal() else plain)
    return handler


def _is_journal() -> bool:
    """Whether standard error leads to the journal.

    JOURNAL_STREAM contains the journal's device and inode; see systemd.exec(5).
    """
    wanted = os.environ.get("JOURNAL_STREAM")
    if not wanted:
        return False
    try:
        found = os.fstat(sys.stderr.fileno())
    except OSError:
        return False
    return wanted == f"{found.st_dev}:{found.st_ino}"


def format_message(message: str) -> str:
    """Format an error message as one line. In the journal, the line begins with the syslog priority."""
    program = getattr(sys.stderr, "program", "kwsd")
    return f"{'<3>' if _is_journal() else f'{program}: '}{clean_text(message)}\n"


def print_error(message: str) -> None:
    """Print an error message of one sentence to standard error."""
    write_message(format_message(message))


def write_message(text: str) -> None:
    """Write text to standard error, and wait briefly until the text appears there, before any later output."""
    sys.stderr.write(text)
    drain_stderr()


def drain_stderr() -> None:
    """Wait until standard error has accepted all messages, for at most `WRITE_TIMEOUT_S`."""
    if isinstance(sys.stderr, BackgroundStream):
        sys.stderr.drain()
    elif sys.stderr is not None:
        sys.stderr.flush()


def print_line(text: str = "") -> None:
    """Print one line for people to standard output."""
    sys.stdout.write(f"{clean_text(text)}\n")


def print_lines(text: str) -> None:
    """Print text for people, and keep its line breaks.

    All line breaks must come from kwsd, as in a configuration file.
    """
    sys.stdout.write(clean_lines(text.removesuffix("\n")) + "\n")


def print_data(text: str) -> None:
    """Print one line for programs, for example a JSON object, unchanged and always as UTF-8."""
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(f"{text}\n")
        return
    sys.stdout.flush()
    binary.write(f"{text}\n".encode())
    binary.flush()


def print_message(text: str) -> None:
    """Print one line for people to standard error."""
    write_message(f"{clean_text(text)}\n")


def print_prompt(text: str) -> None:
    """Print a question to standard error, without a line break."""
    write_message(clean_text(text))


def print_log(text: str) -> None:
    """Print the lines of another program's log to standard error."""
    write_message(clean_lines(text))


def create_console(*, stderr: bool = False, highlight: bool = True, soft_wrap: bool = False) -> "Console":
    """A console that does not print control characters from outside kwsd.

    `rich.console.Console` explains the parameters.
    """
    from rich.console import Console, ConsoleOptions, RenderableType  # noqa: PLC0415  most commands need no rich
    from rich.segment import Segment  # noqa: PLC0415  see above

    class CleanConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=clean_lines(segment.text))

    return CleanConsole(stderr=stderr, highlight=highlight, soft_wrap=soft_wrap)
