"""``kwsd config``."""

import json as jsonlib
from typing import Annotated

import typer

from kwsd.cli.options import ConfigFile


def config(
    json: Annotated[bool, typer.Option("--json", help="One JSON object: key to value and origin.")] = False,
    config: ConfigFile = None,
) -> None:
    """Print the configuration in force, and where each value came from."""
    import msgspec

    from kwsd.address import control_address, default_address
    from kwsd.config import load_config

    effective = load_config(file=config)
    values = msgspec.to_builtins(effective.config)
    values["address"] = values["address"] or default_address()
    values["control"] = values["control"] or control_address(values["address"])
    if json:
        print(jsonlib.dumps({key: {"value": value, "origin": effective.origins[key]} for key, value in values.items()}))
        return
    for key, value in values.items():
        # TOML has no word for a table that is not there.
        mark = "# " if value is None else ""
        print(f"{mark}{key} = {_toml(value)}  # {effective.origins[key]}")


def _toml(value: object) -> str:
    """A value as TOML: strings and lists look the same in JSON, tables do not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    # TOML has no surrogate pairs, which is how JSON escapes characters beyond the basic plane.
    return jsonlib.dumps(value, ensure_ascii=False)
