"""Every error that kwsd reports on purpose, each with the exit code of the command that ends with it.

::

    KwsdError                 70  a fault of kwsd itself (EX_SOFTWARE)
    ├── UsageError             2  the command line asks for something that cannot be
    ├── AudioDataError        65  a file or pipe that is no usable audio (EX_DATAERR)
    ├── ModelError            66  a model that is missing or must not be used (EX_NOINPUT)
    ├── AudioUnavailableError 69  no PortAudio, no device, or not the one asked for (EX_UNAVAILABLE)
    ├── ControlError          69  a daemon that is not there, or refuses what it is asked (EX_UNAVAILABLE)
    ├── ServiceError          69  systemd is not there, or refuses what it is asked (EX_UNAVAILABLE)
    ├── AddressError          73  an address that is none, or cannot be bound (EX_CANTCREAT)
    ├── OutputError           74  a file or folder that cannot be written (EX_IOERR)
    ├── AudioLostError        75  a device that went away; starting again may help (EX_TEMPFAIL)
    ├── NoEventError          75  no event arrived in the time allowed (EX_TEMPFAIL)
    ├── EventError            76  what arrived is no event of this version (EX_PROTOCOL)
    └── ConfigError           78  a configuration that does not say what it means (EX_CONFIG)

From 65 on the numbers are those of ``sysexits.h``, which systemd and shells know by name. Ctrl+C ends a command that is
not a daemon with 130.
"""

from typing import ClassVar


def replace_unprintable(text: str) -> str:
    """Text with a question mark in place of every control character, line break and lone surrogate."""
    return "".join(character if character.isprintable() else "?" for character in text)


class KwsdError(Exception):
    """An error whose message is one sentence for the person at the terminal."""

    exit_code: ClassVar[int] = 70

    def __str__(self) -> str:
        """The message on one line. Control characters are replaced because they could damage a log or a terminal."""
        return replace_unprintable(super().__str__())


class UsageError(KwsdError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class AudioDataError(KwsdError):
    """A file or pipe that is no usable audio."""

    exit_code = 65


class ModelError(KwsdError):
    """A model that is missing, damaged or made for another front end."""

    exit_code = 66


class AudioUnavailableError(KwsdError):
    """No PortAudio, no device, or not the one asked for."""

    exit_code = 69


class ControlError(KwsdError):
    """A daemon that is not there, or refuses what it is asked."""

    exit_code = 69


class ServiceError(KwsdError):
    """There is no systemd, or it refuses what it is asked."""

    exit_code = 69


class AddressError(KwsdError):
    """An address that is none, or cannot be bound."""

    exit_code = 73


class OutputError(KwsdError):
    """A file or folder that cannot be written."""

    exit_code = 74


class AudioLostError(KwsdError):
    """A device that was listening and went away."""

    exit_code = 75


class NoEventError(KwsdError):
    """No event arrived in the time allowed."""

    exit_code = 75


class EventError(KwsdError):
    """What arrived is no event of this version."""

    exit_code = 76


class ConfigError(KwsdError):
    """A configuration that does not say what it means."""

    exit_code = 78
