"""Checks and converts the texts, paths and addresses on the command line.

The shell expands ``~`` only at the start of an unquoted word. A file name may contain bytes that are not UTF-8. All
other texts must be valid UTF-8.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import typer

from kwsd.errors import UsageError
from kwsd.files import expand_home


def expand_arguments(app: typer.Typer) -> None:
    """Check the texts that each command receives, and replace ``~`` with the home folder in paths and ipc addresses."""
    for command in app.registered_commands:
        if command.callback:
            command.callback = _with_home(command.callback)


def _with_home(command: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(command)
    def run(**arguments: object) -> object:
        try:
            expanded = {name: _expand(value) for name, value in arguments.items()}
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}") from None
        return command(**expanded)

    return run


def _expand(value: object) -> object:
    from kwsd.config.load import IPC_PREFIX, expand_address

    if isinstance(value, Path):
        return expand_home(value)
    if isinstance(value, list):
        return [_expand(each) for each in value]
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{value!r} is not valid UTF-8") from None
        return expand_address(value) if value.startswith(IPC_PREFIX) else value
    return value
