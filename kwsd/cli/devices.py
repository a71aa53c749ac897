"""Defines the command ``kwsd devices``."""

import json
from typing import Annotated

import typer

from kwsd.log import print_data, print_line


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per device.")] = False,
) -> None:
    """List the input devices. An asterisk marks the default."""
    from dataclasses import asdict

    from kwsd.audio.devices import input_devices

    for device in input_devices():
        if as_json:
            print_data(json.dumps(asdict(device)))
        else:
            mark = "*" if device.default else " "
            print_line(f"{mark} {device.index:>3}  {device.name}  ({device.channels} in, {device.rate} Hz)")
