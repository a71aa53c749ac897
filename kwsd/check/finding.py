"""What a check finds."""

import os
from typing import Literal

import msgspec

from kwsd.errors import KwsdError


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Parameters
    ----------
    check : str
        What it is.
    state : str
        A warning does not keep kwsd from hearing; what is skipped cannot be looked at, or need not be there.
    text : str
        What was found, in one line.
    cure : str
        What to type against it.
    exit_code : int
        Of the class of the fault; 0 unless it failed.
    """

    check: str
    state: Literal["ok", "warning", "failed", "skipped"]
    text: str
    cure: str = ""
    exit_code: int = 0


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, cure: str = "") -> Finding:
    """Something is odd."""
    return Finding(check, "warning", text, cure)


def skipped(check: str, text: str) -> Finding:
    """Nothing to look at."""
    return Finding(check, "skipped", text)


def failed(check: str, error: KwsdError, cure: str) -> Finding:
    """Something keeps kwsd from hearing, for which it would give up with this error."""
    return Finding(check, "failed", str(error), cure, error.exit_code)


def as_root(command: str) -> str:
    """What to type for a command that only root may run."""
    return command if os.geteuid() == 0 else f"sudo {command}"
