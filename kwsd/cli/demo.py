"""``kwsd demo``."""

import csv
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from kwsd.bus.client import Subscription
    from kwsd.bus.events import KeywordEvent

FOLDER = Path(__file__).parent.parent / "demo"

TOLERANCE_S = 0.75
"""Seconds after the end of a word's clip in which its detection still counts, as in the evaluation of streams."""


def demo() -> None:
    """Run a daemon on a bundled recording, in real time, and print the events that this process receives from it.

    The recording holds real words in running noise; no microphone is needed, and no configuration is read.
    """
    import subprocess
    import tempfile

    from kwsd.bus.client import Subscription
    from kwsd.errors import KwsdError

    # A daemon must not be left behind by whoever ends the demo.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KWSD_")}
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        address = f"ipc://{folder}/events.sock"
        source = ["--device", f"file:{FOLDER / 'demo.flac'}", "--config", os.devnull]
        command = [sys.executable, "-P", "-m", "kwsd", "run", *source, "--address", address, "--log-level", "warning"]
        with Subscription(address) as subscription, subprocess.Popen(command, env=environment) as daemon:
            try:
                heard = _show(_keyword_events(subscription, daemon))
            except BaseException:
                daemon.terminate()
                raise
    if daemon.returncode:
        raise typer.Exit(daemon.returncode)
    if not heard:
        raise KwsdError("the daemon heard none of the words")


def _show(events: "Iterator[KeywordEvent]") -> int:
    """Print each event beside the word that is spoken; gives the number of those that are right."""
    from kwsd.frontend import SAMPLE_RATE

    with (FOLDER / "demo.csv").open(newline="") as table:
        spoken = list(csv.DictReader(table))
    print(f"A daemon listens to {len(spoken)} words in noise: {' '.join(row['word'] for row in spoken)}", flush=True)
    right = 0
    for event in events:
        time_s = event.sample / SAMPLE_RATE
        said = [row["word"] for row in spoken if float(row["start_s"]) <= time_s <= float(row["end_s"]) + TOLERANCE_S]
        right += event.keyword in said
        heard = f"{time_s:6.2f} s  {event.keyword:<6} score {event.score:.2f}"
        print(f"{heard}  published in {event.latency_ms:.1f} ms  (spoken: {' '.join(said) or 'nothing'})", flush=True)
    print(f"{right} words were heard; those that are no keywords (cat, house) should not be.")
    return right


def _keyword_events(subscription: "Subscription", daemon: "Popen[bytes]") -> "Iterator[KeywordEvent]":
    """Keyword events until the daemon says that it stops, or is gone."""
    from kwsd.bus.events import KeywordEvent, StatusEvent, decode_event

    while daemon.poll() is None:
        message = subscription.receive(timeout_s=0.2)
        event = decode_event(message.body) if message else None
        if isinstance(event, KeywordEvent):
            yield event
        elif isinstance(event, StatusEvent) and event.state == "stopping":
            return
