"""A running daemon's events, for the commands that follow them; what its state is goes to standard error."""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kwsd.bus.client import Subscription
    from kwsd.bus.events import Event, KeywordEvent, StatusEvent

Connect = Annotated[
    str | None,
    typer.Option("--connect", metavar="ADDRESS", help="The daemon's event address, if not that of the configuration."),
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="This client's secret key, for a daemon with CURVE.")
]
ServerKey = Annotated[Path | None, typer.Option("--server-key", metavar="FILE", help="The daemon's public key.")]


def subscription(
    address: str, keywords: list[str] | None = None, key: Path | None = None, server_key: Path | None = None
) -> "Subscription":
    """A subscription as the command line asks for it.

    Raises
    ------
    AddressError
        The address is none.
    UsageError
        One key is missing.
    ConfigError
        A key cannot be used.
    """
    from kwsd.bus.client import Subscription
    from kwsd.bus.curve import read_client_keys
    from kwsd.errors import UsageError

    if (key is None) != (server_key is None):
        raise UsageError("--key and --server-key go together")
    keys = read_client_keys(key, server_key) if key and server_key else None
    return Subscription(address, keywords, keys)


def follow(subscription: "Subscription", timeout_s: float | None = None) -> "Iterator[tuple[Event, bytes]]":
    """Events and their JSON as they come; each change of the daemon's state is said."""
    from kwsd.bus.events import StatusEvent, decode_event

    print(f"waiting for kwsd at {subscription.address}", file=sys.stderr)
    said: dict[str, str] = {}
    end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while message := subscription.receive(end_s - time.monotonic()):
        event = decode_event(message.body)
        if isinstance(event, StatusEvent) and said.get(event.stream) != _said(event):
            said[event.stream] = _said(event)
            print(said[event.stream], file=sys.stderr)
        yield event, message.body


def line(event: "KeywordEvent") -> str:
    """A keyword event for people: time, keyword, score, and of several streams which."""
    return f"{event.time.astimezone():%H:%M:%S}  {event.keyword:<10} {event.score:.2f}  {event.stream}".rstrip()


def _said(status: "StatusEvent") -> str:
    """A daemon's state in words."""
    about = f"{status.source}, model {status.model}: {' '.join(status.keywords)}"
    on = f" on {status.stream}" if status.stream else ""
    return f"kwsd is {status.state}{on} ({status.reason or about})"
