"""Logging to standard error: with levels that journald understands, or for the eyes of a person at a terminal."""

import faulthandler
import io
import logging
import os
import sys
from pathlib import Path
from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error"]

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Levels of syslog, as sd-daemon(3) wants them at the start of each line."""


class JournalFormatter(logging.Formatter):
    """Puts the priority at the start of every line; the journal adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines, each with its priority."""
        prefix = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def silence_libraries() -> None:
    """From now on keep standard error for this program's own lines.

    PortAudio and ALSA write several at each attempt to open a device that is not there: for hours, where one is enough.
    """
    own = os.dup(sys.stderr.fileno())
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    # Without a buffer: on a full disk it would keep lines, and end the program with an error of its own.
    sys.stderr = io.TextIOWrapper(io.FileIO(own, "w"), errors="backslashreplace", write_through=True)
    # What a library says when it crashes is lost as well; where it crashed is not.
    faulthandler.enable(sys.stderr)


def set_up_logging(level: LogLevel) -> None:
    """Log what is at least as grave as `level` to standard error."""
    logging.basicConfig(level=level.upper(), handlers=[_handler()], force=True)


def _handler() -> logging.Handler:
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415  a service never needs it
        from rich.logging import RichHandler  # noqa: PLC0415

        return RichHandler(console=Console(stderr=True), show_path=False, log_time_format="[%X]")
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JournalFormatter("%(message)s") if _is_journal() else plain)
    return handler


def _is_journal() -> bool:
    """Whether standard error is the journal: systemd names its device and inode (systemd.exec(5), JOURNAL_STREAM)."""
    found = os.fstat(sys.stderr.fileno())
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def print_error(message: str) -> None:
    """Print the one sentence that a command ends with."""
    prefix = "<3>" if _is_journal() else "kwsd: "
    sys.stderr.write(f"{prefix}{message}\n")
