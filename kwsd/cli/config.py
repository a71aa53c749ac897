"""``kwsd config``."""

import json as jsonlib
from typing import Annotated

import typer

from kwsd.cli.options import ConfigFile


def config(
    json: Annotated[bool, typer.Option("--json", help="One JSON object: key to value and origin.")] = False,
    default: Annotated[
        bool, typer.Option("--default", help="Print a file with every setting, its meaning and its default.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Print the configuration in force, and where each value came from.

    Exit code 66 when it names a model that is not there or must not be used.
    """
    import msgspec

    from kwsd.bus.address import control_address, default_address
    from kwsd.config.load import load_config
    from kwsd.config.show import format_default_config, format_loaded_config
    from kwsd.errors import UsageError
    from kwsd.models.find import configured_model

    if default:
        if json:
            raise UsageError("--default prints a TOML file: leave out --json")
        print(format_default_config(), end="")
        return
    found = load_config(file=config)
    events = found.config.address or default_address()
    control = found.config.control or control_address(events)
    whole = found._replace(config=msgspec.structs.replace(found.config, address=events, control=control))
    if json:
        values = msgspec.to_builtins(whole.config)
        print(jsonlib.dumps({key: {"value": values[key], "origin": whole.origins[key]} for key in values}))
    else:
        print(format_loaded_config(whole), end="")
    configured_model(found.config)
