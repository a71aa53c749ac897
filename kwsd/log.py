"""Everything that kwsd writes to its standard streams: log messages, and the output of commands.

Text from outside is cleaned here, so no command can forget it.
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
"""File descriptors of the standard streams, fixed by POSIX."""

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Maps logging levels to syslog priorities; see sd-daemon(3)."""

NEVER_WRITTEN = re.compile("[\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that no message contains. Typer quotes the command line with them; it escapes other control characters."""

MAX_WAITING_CHARACTERS = 1 << 18
"""Limit of the messages that wait to be written: some thousand lines, and little memory."""

WRITE_TIMEOUT_S = 0.5
"""Longest wait until a message is written. After one such timeout, callers do not wait until standard error accepts
text again."""


class BackgroundStream(io.TextIOBase):
    """A text stream whose thread writes to a file descriptor, so that a full pipe does not stop the caller.

    If the text that waits exceeds `MAX_WAITING_CHARACTERS`, the oldest messages are lost. A line reports their number
    when writing works again.

    Parameters
    ----------
    descriptor : int
        Where the thread writes. It can change at any time.
    encoding : str
        Encoding of the text. Characters that it does not contain are written as escape sequences of Python.
    program : str
        Name at the start of error messages.

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
        """The file descriptor."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether the thread writes to a terminal."""
        return os.isatty(self.descriptor)

    def writable(self) -> bool:
        """Text can be written."""
        return True

    def write(self, text: str) -> int:
        """Let the thread write the text, and return at once."""
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
        """Wait until all text is written, but only if the previous wait was successful."""
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
    """Write all data, wait as long as the descriptor is full, and return whether it was possible."""
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
    """Formats a log record: a message is one line of printable text, whatever it quotes. Only a traceback has more."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name is logging's
        """The line of a record."""
        record.message = clean_text(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: "logging._SysExcInfoType") -> str:  # noqa: N802  the name is logging's
        """The lines of a traceback."""
        return clean_lines(super().formatException(ei))


class JournalFormatter(CleanFormatter):
    """Puts the priority at the start of every line. The journal adds the time."""

    def format(self, record: logging.LogRecord) -> str:
        """The message of a record, with the priority before each of its lines."""
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).split("\n"))


def prepare_streams(program: str) -> None:
    """Make the standard streams safe: no stream is closed, and no write of kwsd blocks or fails because of a character.

    Without this, the next file or socket could get the number of a closed stream, and C libraries would write their
    messages to it.
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
    """Discard the rest of the output. Otherwise Python would try again at exit to write what it could not write."""
    with suppress(OSError):
        _point_to_null(STDOUT)


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard what C and C++ libraries write to standard error during the block.

    File descriptor 2 belongs to the whole process: other threads lose their messages too.
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

    PortAudio and ALSA print several lines at each attempt to open a missing device, and the daemon tries for hours.
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
    """Log messages of this level and above to standard error."""
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
    """Whether standard error is the journal, whose device and inode are in JOURNAL_STREAM (systemd.exec(5))."""
    wanted = os.environ.get("JOURNAL_STREAM")
    if not wanted:
        return False
    try:
        found = os.fstat(sys.stderr.fileno())
    except OSError:
        return False
    return wanted == f"{found.st_dev}:{found.st_ino}"


def format_message(message: str) -> str:
    """One line for an error message. In the journal it begins with its priority."""
    program = getattr(sys.stderr, "program", "kwsd")
    return f"{'<3>' if _is_journal() else f'{program}: '}{clean_text(message)}\n"


def print_error(message: str) -> None:
    """Print an error message, one sentence, to standard error."""
    write_message(format_message(message))


def write_message(text: str) -> None:
    """Write text to standard error, and wait a moment until it is there, so that it precedes later output."""
    sys.stderr.write(text)
    drain_stderr()


def drain_stderr() -> None:
    """Wait until standard error has accepted all messages, at most `WRITE_TIMEOUT_S`."""
    if isinstance(sys.stderr, BackgroundStream):
        sys.stderr.drain()
    elif sys.stderr is not None:
        sys.stderr.flush()


def print_line(text: str = "") -> None:
    """Print one line for people."""
    sys.stdout.write(f"{clean_text(text)}\n")


def print_lines(text: str) -> None:
    """Print text for people whose line breaks were made by kwsd, such as a configuration file."""
    sys.stdout.write(clean_lines(text.removesuffix("\n")) + "\n")


def print_data(text: str) -> None:
    """Print one line for programs, such as a JSON object, without a change and always as UTF-8."""
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
    """A console that prints no control characters from outside. `rich.console.Console` explains the parameters."""
    from rich.console import Console, ConsoleOptions, RenderableType  # noqa: PLC0415  most commands need no rich
    from rich.segment import Segment  # noqa: PLC0415  see above

    class CleanConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=clean_lines(segment.text))

    return CleanConsole(stderr=stderr, highlight=highlight, soft_wrap=soft_wrap)
