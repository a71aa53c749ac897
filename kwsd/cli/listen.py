"""``kwsd listen``."""

import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer

from kwsd.cli.follow import Connect, Key, ServerKey, follow, line, subscription

if TYPE_CHECKING:
    from kwsd.actions import ActionRunner


def listen(
    json: Annotated[
        bool, typer.Option("--json", help="Print each event as it was published, one JSON object a line.")
    ] = False,
    connect: Connect = None,
    key: Key = None,
    server_key: ServerKey = None,
    keyword: Annotated[
        list[str] | None, typer.Option(metavar="WORD", help="Only this keyword. May be repeated.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many keyword events.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="S", help="Stop after S seconds.")] = None,
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="COMMAND", help="Run this for each event: a program with {keyword} filled in."),
    ] = None,
) -> None:
    """Print keyword events of a running daemon, and run a command for each if asked to.

    Listens where the configuration says that the daemon publishes, and waits for one that is not running yet. Exit
    code 75 when --timeout passes before --count events came.
    """
    from kwsd.bus.events import KeywordEvent
    from kwsd.config.load import load_config
    from kwsd.errors import NoEventError

    address = connect or load_config().config.address
    with subscription(address, keyword, key, server_key) as events, _actions(command) as actions:
        printed = 0
        for event, body in follow(events, timeout):
            if not isinstance(event, KeywordEvent):
                continue
            print(body.decode() if json else line(event), flush=True)
            actions.run(event, time.monotonic())
            printed += 1
            if printed == count:
                return
    if count:
        raise NoEventError(f"{printed} of {count} events came within {timeout:g} s")


def _actions(command: str | None) -> "ActionRunner":
    from kwsd.actions import ActionRunner
    from kwsd.config.schema import ANY_KEYWORD, ActionConfig
    from kwsd.errors import UsageError

    if command is None:
        return ActionRunner({})
    # What was started must not be left behind by whoever ends this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return ActionRunner({ANY_KEYWORD: ActionConfig(command)})
    except ValueError as error:
        raise UsageError(f"--exec: {error}") from None
