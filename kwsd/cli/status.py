"""Defines the command ``kwsd status``."""

from typing import Annotated

import typer

from kwsd.cli.options import ControlAddress, find_control_address
from kwsd.log import print_data, print_line

HIDDEN_FIELDS = {"type", "v", "run", "seq"}
"""Names of the fields in the status event that only programs need."""


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the status event as it was published.")] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print counters and gauges in the text format of Prometheus.")
    ] = False,
    connect: ControlAddress = None,
) -> None:
    """Print the state of each stream of a running daemon.

    The exit code is 69 if no daemon is running.
    """
    import msgspec

    from kwsd.bus.control import send_request_all_streams
    from kwsd.bus.metrics import prometheus_text

    streams = send_request_all_streams("status", find_control_address(connect))
    if prometheus:
        print_data(prometheus_text(*streams).removesuffix("\n"))
        return
    for number, stream in enumerate(streams):
        if as_json:
            print_data(msgspec.json.encode(stream).decode())
            continue
        if number:
            print_line()
        for key, value in msgspec.to_builtins(stream).items():
            if key not in HIDDEN_FIELDS and _format_value(value):
                print_line(f"{key:<18} {_format_value(value)}")


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{key} {inner}" for key, inner in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)
