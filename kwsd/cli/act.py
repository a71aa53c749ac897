"""``kwsd act``."""

import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from kwsd.cli.follow import Connect, Key, ServerKey, follow, line, subscription
from kwsd.cli.options import ConfigFile

if TYPE_CHECKING:
    from kwsd.actions import ActionRunner
    from kwsd.bus.events import StatusEvent


def act(connect: Connect = None, key: Key = None, server_key: ServerKey = None, config: ConfigFile = None) -> None:
    """Run the actions of the configuration, which are commands, when their keywords are spoken.

    Prints the events that have one. A command that fails, hangs or is not there is said in one line on standard
    error, and the others run all the same. Stops on SIGTERM and SIGINT (Ctrl+C), and then ends what still runs.
    """
    from kwsd.actions import ActionRunner
    from kwsd.bus.events import KeywordEvent, StatusEvent
    from kwsd.config.load import load_config
    from kwsd.errors import ConfigError

    chosen = load_config(file=config).config
    if not chosen.actions:
        raise ConfigError("there are no actions: write them into the configuration, see  kwsd config --default")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        subscription(connect or chosen.address, None, key, server_key) as events,
        ActionRunner(chosen.actions_by_keyword()) as actions,
    ):
        unknown: set[str] = set()
        for event, _ in follow(events):
            if isinstance(event, StatusEvent):
                unknown = _name_unknown(actions, event, unknown)
            if isinstance(event, KeywordEvent) and event.keyword in actions:
                print(line(event), flush=True)
                actions.run(event, time.monotonic())


def _name_unknown(actions: "ActionRunner", status: "StatusEvent", named: set[str]) -> set[str]:
    """Keywords of actions that the model does not know; those not named before are named."""
    unknown = actions.unknown_keywords(status.keywords)
    for keyword in sorted(unknown - named):
        print(f"model {status.model} has no keyword {keyword!r}: its action never runs", file=sys.stderr)
    return unknown
