"""Receives the events of a running daemon, for the commands that print events.

Changes of the daemon's state are printed to standard error.
"""

import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kwsd.daemon.ending import treat_as_ctrl_c
from kwsd.errors import ControlError, UsageError
from kwsd.log import print_message
from kwsd.system.processes import run_guarded
from kwsd.system.text import format_local_time

if TYPE_CHECKING:
    from kwsd.bus.client import Subscription
    from kwsd.bus.events import Event, KeywordEvent, StatusEvent

ClientKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="This client's secret key, if the daemon uses CURVE.")
]
ServerKey = Annotated[
    Path | None, typer.Option("--server-key", metavar="FILE", help="The daemon's public key, if the daemon uses CURVE.")
]


def guard_actions() -> None:
    """Make sure that all processes that this command starts end with the command, even if the command is killed.

    Call this function before the imports that start threads; see `kwsd.system.processes.run_guarded`.
    """
    run_guarded()
    treat_as_ctrl_c(signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def open_subscription(
    address: str, keywords: list[str] | None = None, key: Path | None = None, server_key: Path | None = None
) -> "Subscription":
    """Subscribe to a daemon with the options of a command.

    Raises
    ------
    AddressError
        The event address is invalid.
    UsageError
        The user has given only one of the two keys.
    ConfigError
        An encryption key cannot be used.
    ControlError
        This user does not have permission to connect to the daemon.
    """
    from kwsd.bus.client import Subscription
    from kwsd.bus.curve import read_client_keys

    if (key is None) != (server_key is None):
        raise UsageError("--key and --server-key must be used together")
    keys = read_client_keys(key, server_key) if key and server_key else None
    subscription = Subscription(address, keywords, keys)
    _check_access(subscription.address)
    return subscription


def _check_access(address: str) -> None:
    """Check that this user has permission to connect to an ipc socket.

    Without permission, ZeroMQ would try to connect for ever and would not report an error.

    Raises
    ------
    ControlError
        This user does not have permission to connect.
    """
    from kwsd.bus.address import IPC

    path = Path(address.removeprefix(IPC))
    if not address.startswith(IPC):
        return
    try:
        path.lstat()
    except PermissionError:
        allowed = False
    except OSError:
        return  # the daemon does not run yet
    else:
        allowed = os.access(path, os.W_OK)
    if not allowed:
        raise ControlError(f"cannot connect to the kwsd at {address}: Permission denied; another user runs it")


def follow_events(subscription: "Subscription", timeout_s: float | None = None) -> "Iterator[tuple[Event, bytes]]":
    """Yield each event together with its JSON text. Print each change of the daemon's state on standard error."""
    from kwsd.bus.events import StatusEvent, decode_event

    print_message(f"waiting for kwsd at {subscription.address}")
    printed: dict[str, str] = {}
    end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while message := subscription.receive(end_s - time.monotonic()):
        event = decode_event(message.body)
        if isinstance(event, StatusEvent) and printed.get(event.stream) != _describe_state(event):
            printed[event.stream] = _describe_state(event)
            print_message(printed[event.stream])
        yield event, message.body


def format_keyword_event(event: "KeywordEvent") -> str:
    """Format an event as one line for people: time, keyword and score.

    If the daemon has several streams, add the stream name.
    """
    return f"{format_local_time(event.time)}  {event.keyword:<10} {event.score:.2f}  {event.stream}".rstrip()


def _describe_state(status: "StatusEvent") -> str:
    about = f"{status.source}, model {status.model}: {' '.join(status.keywords)}"
    on = f" on {status.stream}" if status.stream else ""
    return f"kwsd is {status.state}{on} ({status.reason or about})"
