"""Defines the command ``kwsd config``."""

import json
from typing import Annotated

import typer

from kwsd.cli.options import ConfigFile
from kwsd.errors import UsageError
from kwsd.log import print_data, print_lines


def config(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: for each key, its value and origin.")
    ] = False,
    default: Annotated[
        bool, typer.Option("--default", help="Print a file with every setting, its meaning and its default.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Print the configuration in force, and the origin of each value.

    The exit code is 66 if the configuration names a model that is missing or cannot be used.
    """
    import msgspec

    from kwsd.bus.address import control_address, default_address
    from kwsd.config.load import load_config
    from kwsd.config.show import format_default_config, format_loaded_config
    from kwsd.models.find import configured_model

    if default:
        if as_json:
            raise UsageError("--default prints a TOML file: use it without --json")
        print_lines(format_default_config())
        return
    loaded = load_config(file=config)
    events = loaded.config.address or default_address()
    control = loaded.config.control or control_address(events)
    complete = loaded._replace(config=msgspec.structs.replace(loaded.config, address=events, control=control))
    if as_json:
        values = msgspec.to_builtins(complete.config)
        print_data(json.dumps({key: {"value": values[key], "origin": complete.origins[key]} for key in values}))
    else:
        print_lines(format_loaded_config(complete))
    configured_model(loaded.config)
