"""Defines the options that several commands share."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kwsd.errors import ConfigError

EventAddress = Annotated[
    str | None,
    typer.Option("--connect", metavar="ADDRESS", help="Overrides the daemon's event address in the configuration."),
]
ControlAddress = Annotated[
    str | None,
    typer.Option("--connect", metavar="ADDRESS", help="Overrides the daemon's control address in the configuration."),
]
Device = Annotated[
    str | None,
    typer.Option(help="Overrides the device of the configuration; the same values as for `kwsd run`."),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="The name of an installed model, a bundle or SavedModel folder, or a .tflite file."),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", help="Labels of a model that does not contain them: a,b,c in the order of its outputs."),
]
ConfigFile = Annotated[
    Path | None,
    # Typer must not check the file: kwsd reports an unreadable file in the same way as a missing one.
    typer.Option("--config", readable=False, help="Configuration file, instead of the usual places."),
]


def split_labels(labels: str | None) -> tuple[str, ...] | None:
    """Return the labels from the option ``--labels``; None without this option."""
    return tuple(labels.split(",")) if labels else None


def find_control_address(connect: str | None) -> str:
    """Return the daemon's control address from the command line, the configuration or the default, in this order."""
    from kwsd.bus.address import control_address
    from kwsd.config.load import load_config

    if connect:
        return connect
    # `kwsd mute` must work while the user edits the configuration file; `kwsd reload` reports the mistakes in it.
    for file in (None, Path(os.devnull)):
        with suppress(ConfigError):
            config = load_config(file=file).config
            return config.control or control_address(config.address)
    return control_address()
