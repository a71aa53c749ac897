"""All errors that kwsd reports to the user. Each class has the exit code of a command that ends with it.

::

    KwsdError                 70  internal error of kwsd (EX_SOFTWARE)
    ├── InternalError         70  internal error of kwsd (EX_SOFTWARE)
    ├── UsageError             2  wrong or contradictory options or arguments
    ├── AudioDataError        65  file or pipe without usable audio (EX_DATAERR)
    ├── ModelError            66  missing or unusable model (EX_NOINPUT)
    ├── AudioUnavailableError 69  PortAudio or the audio device is not available (EX_UNAVAILABLE)
    ├── ControlError          69  daemon does not run or rejects the request (EX_UNAVAILABLE)
    ├── ServiceError          69  systemd does not run or rejects the request (EX_UNAVAILABLE)
    ├── LibraryError          69  a Python library is missing or damaged (EX_UNAVAILABLE)
    ├── ResourceError         71  not enough memory, threads or open files (EX_OSERR)
    ├── AddressError          73  invalid address, or address in use (EX_CANTCREAT)
    ├── OutputError           74  file or folder that cannot be written, or another I/O error (EX_IOERR)
    ├── AudioLostError        75  audio device disappeared; a restart may help (EX_TEMPFAIL)
    ├── NoEventError          75  no event arrived before the timeout (EX_TEMPFAIL)
    ├── EventError            76  message is not an event of this version (EX_PROTOCOL)
    └── ConfigError           78  invalid configuration (EX_CONFIG)

Codes from 65 are those of ``sysexits.h``; systemd prints their names. Ctrl+C ends a command with code 130, and the
daemon with 0.
"""

from typing import ClassVar

from kwsd.system.text import clean_text


class KwsdError(Exception):
    """An error whose message is one sentence for the user."""

    exit_code: ClassVar[int] = 70

    def __str__(self) -> str:
        """The message on one line. Control characters are replaced because they could damage a log or a terminal."""
        return clean_text(super().__str__())


class InternalError(KwsdError):
    """Internal error of kwsd."""

    exit_code = 70


class UsageError(KwsdError):
    """The command line contains wrong or contradictory options or arguments."""

    exit_code = 2


class AudioDataError(KwsdError):
    """A file or pipe does not contain usable audio."""

    exit_code = 65


class ModelError(KwsdError):
    """The model is missing, damaged or made for another front end."""

    exit_code = 66


class AudioUnavailableError(KwsdError):
    """PortAudio is missing, or the audio device is not available."""

    exit_code = 69


class ControlError(KwsdError):
    """The daemon does not run, or it rejects the request."""

    exit_code = 69


class ServiceError(KwsdError):
    """Systemd does not run, or it rejects the request."""

    exit_code = 69


class LibraryError(KwsdError):
    """A Python library that kwsd needs is missing or damaged."""

    exit_code = 69


class ResourceError(KwsdError):
    """The system does not provide enough memory, threads or open files."""

    exit_code = 71


class AddressError(KwsdError):
    """The address is invalid, or another program uses it."""

    exit_code = 73


class OutputError(KwsdError):
    """A file or folder cannot be written, or another I/O error occurred."""

    exit_code = 74


class AudioLostError(KwsdError):
    """The audio device disappeared."""

    exit_code = 75


class NoEventError(KwsdError):
    """No event arrived before the timeout."""

    exit_code = 75


class EventError(KwsdError):
    """A received message is not an event that this version can read."""

    exit_code = 76


class ConfigError(KwsdError):
    """The configuration is invalid."""

    exit_code = 78
