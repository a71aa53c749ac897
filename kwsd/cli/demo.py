"""``kwsd demo``."""

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from kwsd.client import Subscription
    from kwsd.events import KeywordEvent

FOLDER = Path(__file__).parent.parent / "demo"


def demo() -> None:
    """Run a daemon on a bundled recording, in real time, and print the events that this process receives from it.

    The recording holds real words in running noise; no microphone is needed.
    """
    import subprocess
    import tempfile

    from kwsd.client import Subscription

    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        address = f"ipc://{folder}/events.sock"
        command = [
            sys.executable,
            "-m",
            "kwsd",
            "run",
            "--device",
            f"file:{FOLDER / 'demo.flac'}",
            "--address",
            address,
        ]
        with Subscription(address) as subscription, subprocess.Popen([*command, "--log-level", "warning"]) as daemon:
            _show(subscription, daemon)
    raise typer.Exit(daemon.returncode)


def _show(subscription: "Subscription", daemon: "Popen[bytes]") -> None:
    """Print each event beside the word that is spoken."""
    from kwsd.frontend import SAMPLE_RATE

    with (FOLDER / "demo.csv").open(newline="") as table:
        spoken = list(csv.DictReader(table))
    print(
        f"A daemon listens to a recording of {len(spoken)} words: {' '.join(row['word'] for row in spoken)}", flush=True
    )
    for event in _keyword_events(subscription, daemon):
        time_s = event.sample / SAMPLE_RATE
        # As in the evaluation of streams: a word may be detected until 0.75 s after its clip.
        said = [row["word"] for row in spoken if float(row["start_s"]) <= time_s <= float(row["end_s"]) + 0.75]
        heard = f"{time_s:6.2f} s  {event.keyword:<6} score {event.score:.2f}"
        print(f"{heard}  published in {event.latency_ms:.1f} ms  (spoken: {' '.join(said) or 'nothing'})", flush=True)


def _keyword_events(subscription: "Subscription", daemon: "Popen[bytes]") -> "Iterator[KeywordEvent]":
    """Keyword events until the daemon says that it stops, or is gone."""
    from kwsd.events import KeywordEvent, decode

    while daemon.poll() is None:
        message = subscription.receive(timeout_s=0.2)
        event = decode(message.body) if message else None
        if isinstance(event, KeywordEvent):
            yield event
        elif event and event.state == "stopping":
            return
