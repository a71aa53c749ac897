"""``kwsd devices``."""

import json as jsonlib
from typing import Annotated

import typer


def devices(
    json: Annotated[bool, typer.Option("--json", help="One JSON object a device.")] = False,
) -> None:
    """List the input devices; an asterisk marks the default."""
    from dataclasses import asdict

    from kwsd.audio.devices import input_devices

    for device in input_devices():
        if json:
            print(jsonlib.dumps(asdict(device)))
        else:
            mark = "*" if device.default else " "
            print(f"{mark} {device.index:>3}  {device.name}  ({device.channels} in, {device.rate} Hz)")
