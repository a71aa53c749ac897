"""``kwsd status``."""

import sys
from typing import Annotated

import typer

from kwsd.cli.options import Connect, control_in_force

ENVELOPE = {"type", "v", "run", "seq"}
"""What says nothing to people."""


def status(
    json: Annotated[bool, typer.Option("--json", help="Print the status event as it was published.")] = False,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print counters and gauges in Prometheus' text format.")
    ] = False,
    connect: Connect = None,
) -> None:
    """Print how a running daemon is, stream by stream.

    Exit code 69 when there is none.
    """
    import msgspec

    from kwsd.bus.control import send_request_all_streams

    found = send_request_all_streams("status", control_in_force(connect))
    if prometheus:
        from kwsd.bus.metrics import prometheus_text

        sys.stdout.write(prometheus_text(*found))
        return
    for number, stream in enumerate(found):
        if json:
            sys.stdout.write(msgspec.json.encode(stream).decode() + "\n")
            continue
        if number:
            print()
        for key, value in msgspec.to_builtins(stream).items():
            if key not in ENVELOPE and _text(value):
                print(f"{key:<18} {_text(value)}")


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{key} {inner}" for key, inner in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)
