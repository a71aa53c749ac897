"""Options that several commands share."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

Connect = Annotated[
    str | None,
    typer.Option(
        "--connect", metavar="ADDRESS", help="The daemon's control address, if not that of the configuration."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Overrides the device of the configuration; the same values as for `kwsd run`."),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A bundle folder, an installed model's name, or a SavedModel folder."),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", help="Labels of a SavedModel that does not hold them: a,b,c in order."),
]
ConfigFile = Annotated[
    Path | None,
    # A file that is closed to the user is named by whoever reads it, like one that is not there.
    typer.Option("--config", readable=False, help="Configuration file, instead of the usual places."),
]


def split_labels(labels: str | None) -> tuple[str, ...] | None:
    """The labels of ``--labels``; None without this option."""
    return tuple(labels.split(",")) if labels else None


def control_in_force(connect: str | None) -> str:
    """Where a daemon is controlled: where the command line says, or else where the configuration does."""
    from kwsd.bus.address import control_address
    from kwsd.config.load import load_config
    from kwsd.errors import ConfigError

    if connect:
        return connect
    # A file that is being edited must keep nobody from muting; what is wrong with it, `kwsd reload` is told.
    for file in (None, Path(os.devnull)):
        with suppress(ConfigError):
            config = load_config(file=file).config
            return config.control or control_address(config.address)
    return control_address()
