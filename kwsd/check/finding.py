"""The result of one check."""

import os
from typing import Literal

import msgspec

from kwsd.errors import KwsdError


class Finding(msgspec.Struct, frozen=True):
    """The result of one check.

    Parameters
    ----------
    check : str
        What was checked, for example "model".
    state : str
        "ok"; "warning": kwsd works, but perhaps not as intended; "failed": kwsd does not work; "skipped": the check
        was impossible or unnecessary.
    text : str
        The result in one line.
    cure : str
        The command that may help; empty if there is none.
    exit_code : int
        Exit code of the error; 0 unless the check failed.
    """

    check: str
    state: Literal["ok", "warning", "failed", "skipped"]
    text: str
    cure: str = ""
    exit_code: int = 0


def ok(check: str, text: str) -> Finding:
    """A check without a fault."""
    return Finding(check, "ok", text)


def warning(check: str, text: str, cure: str = "") -> Finding:
    """A check that found something unusual, with which kwsd still works."""
    return Finding(check, "warning", text, cure)


def skipped(check: str, text: str) -> Finding:
    """A check that was impossible or unnecessary."""
    return Finding(check, "skipped", text)


def failed(check: str, error: KwsdError, cure: str) -> Finding:
    """A check that found a fault; ``kwsd run`` would end with this error."""
    return Finding(check, "failed", str(error), cure, error.exit_code)


def as_root(command: str) -> str:
    """The command line for a command that only root may run."""
    return command if os.geteuid() == 0 else f"sudo {command}"
