"""The result of one check of ``kwsd check``."""

import os
from typing import Literal

import msgspec

from kwsd.errors import KwsdError


class Finding(msgspec.Struct, frozen=True):
    """The result of one check of ``kwsd check``.

    Parameters
    ----------
    check : str
        Name of the checked part, for example "model".
    state : str
        Result: "ok", "warning" (kwsd works, but perhaps not as intended), "failed" (kwsd does not work), or "skipped"
        (impossible or unnecessary).
    text : str
        Text of the result in one line.
    cure : str
        Command that may solve the problem; empty if there is none.
    exit_code : int
        Exit code of the error that the check found; 0 unless the check failed.
    """

    check: str
    state: Literal["ok", "warning", "failed", "skipped"]
    text: str
    cure: str = ""
    exit_code: int = 0


def ok(check: str, text: str) -> Finding:
    """Return the finding of a check without a problem."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, cure: str = "") -> Finding:
    """Return the finding of a check with an unusual result, with which kwsd still works."""
    return Finding(check, "warning", text, cure)


def skipped(check: str, text: str) -> Finding:
    """Return the finding of a check that was impossible or unnecessary."""
    return Finding(check, "skipped", text)


def failed(check: str, error: KwsdError, cure: str) -> Finding:
    """Return the finding of a failed check; ``kwsd run`` would end with this error."""
    return Finding(check, "failed", str(error), cure, error.exit_code)


def as_root(command: str) -> str:
    """Return the command line with ``sudo`` for a command that only root may run, unless this user is root."""
    return command if os.geteuid() == 0 else f"sudo {command}"
