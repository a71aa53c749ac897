"""Defines the command ``kwsd listen``."""

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from kwsd.cli.follow import (
    ClientKey,
    ServerKey,
    follow_events,
    format_keyword_event,
    guard_actions,
    open_subscription,
)
from kwsd.cli.options import EventAddress
from kwsd.errors import NoEventError, UsageError
from kwsd.log import print_data, print_line
from kwsd.system.processes import ending_descendants

if TYPE_CHECKING:
    from kwsd.actions import ActionRunner


def listen(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event as it was published, one JSON object per line.")
    ] = False,
    connect: EventAddress = None,
    key: ClientKey = None,
    server_key: ServerKey = None,
    keyword: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="Print only this keyword. May be repeated.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this number of keyword events.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="S", help="Stop after S seconds.")] = None,
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="COMMAND", help="Run this program for each event, with {keyword} filled in."),
    ] = None,
) -> None:
    """Print the keyword events of a running daemon, and optionally run a command for each.

    kwsd listen subscribes to the address in the configuration, and waits if no daemon is running. The exit code is 75
    if --timeout passes before --count events have arrived.

    Example: kwsd listen --exec 'playerctl {keyword}'
    """
    if command is not None:
        guard_actions()
    from kwsd.bus.events import KeywordEvent
    from kwsd.config.load import load_config

    address = connect or load_config().config.address
    with (
        nullcontext() if command is None else ending_descendants(),
        open_subscription(address, keyword, key, server_key) as events,
        _action_runner(command) as actions,
    ):
        printed = 0
        for event, body in follow_events(events, timeout):
            if not isinstance(event, KeywordEvent):
                continue
            print_data(body.decode()) if as_json else print_line(format_keyword_event(event))
            actions.run(event, time.monotonic())
            printed += 1
            if printed == count:
                return
    if count:
        raise NoEventError(f"{printed} of {count} events arrived within {timeout:g} s")


def _action_runner(command: str | None) -> "ActionRunner":
    from kwsd.actions import ActionRunner
    from kwsd.config.schema import ANY_KEYWORD, ActionConfig

    if command is None:
        return ActionRunner({})
    try:
        return ActionRunner({ANY_KEYWORD: ActionConfig(command)})
    except ValueError as error:
        raise UsageError(f"--exec: {error}") from None
