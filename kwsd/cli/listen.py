"""``kwsd listen``."""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kwsd.client import Subscription
    from kwsd.events import Event, StatusEvent


def listen(
    json: Annotated[
        bool, typer.Option("--json", help="Print each event as it was published, one JSON object a line.")
    ] = False,
    connect: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The daemon's event address, if not the default.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="This client's secret key, for a daemon with CURVE.")
    ] = None,
    server_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The daemon's public key.")] = None,
    keyword: Annotated[list[str] | None, typer.Option(help="Only this keyword. May be repeated.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many keyword events.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="S", help="Stop after S seconds.")] = None,
) -> None:
    """Print keyword events of a running daemon.

    Listens where the configuration says that the daemon publishes, and waits for one that is not running yet. Exit
    code 75 when --timeout passes before --count events came.
    """
    from kwsd.errors import NoEventError
    from kwsd.events import KeywordEvent, StatusEvent

    with _subscription(connect, keyword, key, server_key) as subscription:
        printed, state = 0, f"waiting for kwsd at {subscription.address}"
        print(state, file=sys.stderr)
        for body, event in _messages(subscription, timeout):
            if isinstance(event, StatusEvent) and _said(event) != state:
                state = _said(event)
                print(state, file=sys.stderr)
            if not isinstance(event, KeywordEvent):
                continue
            sys.stdout.write(
                body.decode() + "\n"
                if json
                else f"{event.time.astimezone():%H:%M:%S}  {event.keyword:<10} {event.score:.2f}\n"
            )
            sys.stdout.flush()
            printed += 1
            if printed == count:
                return
    if count:
        raise NoEventError(f"{printed} of {count} events came within {timeout:g} seconds")


def _subscription(
    address: str | None, keywords: list[str] | None, key: Path | None, server_key: Path | None
) -> "Subscription":
    from kwsd.client import Subscription
    from kwsd.config import load_config
    from kwsd.curve import client_keys
    from kwsd.errors import UsageError

    if (key is None) != (server_key is None):
        raise UsageError("--key and --server-key go together")
    keys = client_keys(key, server_key) if key and server_key else None
    try:
        return Subscription(address or load_config().config.address, keywords, keys)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _messages(subscription: "Subscription", timeout_s: float | None) -> Iterator[tuple[bytes, "Event"]]:
    from kwsd.events import decode

    end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while message := subscription.receive(end_s - time.monotonic()):
        yield message.body, decode(message.body)


def _said(status: "StatusEvent") -> str:
    """A daemon's state in words."""
    about = f"{status.source}, model {status.model}: {' '.join(status.keywords)}"
    return f"kwsd is {status.state} ({status.reason or about})"
