"""Defines the command ``kwsd demo``."""

import csv
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kwsd.daemon.ending import treat_as_ctrl_c
from kwsd.errors import KwsdError
from kwsd.log import print_line, print_log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kwsd.bus.client import Subscription
    from kwsd.bus.events import KeywordEvent
    from kwsd.daemon.child import ChildDaemon

DEMO_FOLDER = Path(__file__).parent.parent / "demo"

TOLERANCE_S = 0.75
"""Maximum number of seconds from the end of a spoken word to a detection that counts as correct, as in the evaluation
of streams."""


def demo() -> None:
    """Run a daemon on a bundled recording in real time, and print the events that this process receives from it.

    The recording contains real words in noise. The demo needs no microphone and reads no configuration.
    """
    from kwsd.bus.client import Subscription
    from kwsd.daemon.child import run_child_daemon

    # Without this, SIGTERM would end the demo and leave the daemon running.
    treat_as_ctrl_c(signal.SIGTERM)
    with (
        run_child_daemon(f"file:{DEMO_FOLDER / 'demo.flac'}", configured=False) as daemon,
        Subscription(daemon.address) as subscription,
    ):
        right = _print_events(_keyword_events(subscription, daemon))
        exit_code = daemon.wait()
        print_log(daemon.read_log())
    if exit_code:
        raise typer.Exit(exit_code)
    if not right:
        raise KwsdError("the daemon detected none of the words")


def _print_events(events: "Iterator[KeywordEvent]") -> int:
    """Print each event next to the word that was spoken, and return the number of correct detections."""
    from kwsd.frontend import SAMPLE_RATE

    with (DEMO_FOLDER / "demo.csv").open(newline="") as table:
        spoken = list(csv.DictReader(table))
    print_line(f"A daemon listens to {len(spoken)} words in noise: {' '.join(row['word'] for row in spoken)}")
    right = 0
    for event in events:
        time_s = event.sample / SAMPLE_RATE
        words = [row["word"] for row in spoken if float(row["start_s"]) <= time_s <= float(row["end_s"]) + TOLERANCE_S]
        right += event.keyword in words
        detected = f"{time_s:6.2f} s  {event.keyword:<6} score {event.score:.2f}"
        print_line(f"{detected}  published in {event.latency_ms:.1f} ms  (spoken: {' '.join(words) or 'nothing'})")
    print_line(f"{right} words were detected. The words that are not keywords (cat, house) should not be detected.")
    return right


def _keyword_events(subscription: "Subscription", daemon: "ChildDaemon") -> "Iterator[KeywordEvent]":
    """Yield keyword events until the daemon reports that it stops, or until the daemon's process ends."""
    from kwsd.bus.events import KeywordEvent, StatusEvent, decode_event

    while daemon.is_running():
        message = subscription.receive(timeout_s=0.2)
        event = decode_event(message.body) if message else None
        if isinstance(event, KeywordEvent):
            yield event
        elif isinstance(event, StatusEvent) and event.state == "stopping":
            return
