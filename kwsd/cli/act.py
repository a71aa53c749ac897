"""Defines the command ``kwsd act``."""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from kwsd.cli.follow import (
    ClientKey,
    ServerKey,
    follow_events,
    format_keyword_event,
    guard_actions,
    open_subscription,
)
from kwsd.cli.options import ConfigFile, EventAddress
from kwsd.errors import ConfigError
from kwsd.log import print_line, print_message
from kwsd.system.processes import ending_descendants

if TYPE_CHECKING:
    from kwsd.actions import ActionRunner
    from kwsd.bus.events import StatusEvent


def act(
    connect: EventAddress = None, key: ClientKey = None, server_key: ServerKey = None, config: ConfigFile = None
) -> None:
    """Run the actions of the configuration, which are commands, when their keywords are detected.

    kwsd act prints each event that has an action. It reports a command that fails, hangs or is missing in one line on
    standard error, and continues. SIGTERM and SIGINT (Ctrl+C) stop kwsd act and everything that it has started.
    """
    guard_actions()
    from kwsd.actions import ActionRunner
    from kwsd.bus.events import KeywordEvent, StatusEvent
    from kwsd.config.load import load_config

    loaded = load_config(file=config).config
    if not loaded.actions:
        raise ConfigError("the configuration has no actions; for an example:  kwsd config --default")
    with (
        suppress(KeyboardInterrupt),
        ending_descendants(),
        open_subscription(connect or loaded.address, None, key, server_key) as events,
        ActionRunner(loaded.actions_by_keyword()) as actions,
    ):
        unknown: set[str] = set()
        for event, _ in follow_events(events):
            if isinstance(event, StatusEvent):
                unknown = _report_unknown(actions, event, unknown)
            if isinstance(event, KeywordEvent) and event.keyword in actions:
                print_line(format_keyword_event(event))
                actions.run(event, time.monotonic())


def _report_unknown(actions: "ActionRunner", status: "StatusEvent", reported: set[str]) -> set[str]:
    """Report keywords of actions that the model does not know, unless already reported.

    Return all of these keywords.
    """
    unknown = actions.unknown_keywords(status.keywords)
    for keyword in sorted(unknown - reported):
        print_message(f"model {status.model} has no keyword {keyword!r}: its action never runs")
    return unknown
