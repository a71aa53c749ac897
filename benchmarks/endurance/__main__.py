"""Endurance of the daemon; the figures in ``docs/internals/reliability.md`` are from here.

``python benchmarks/endurance live --hours 2`` takes two hours, ``python benchmarks/endurance day`` about half an hour.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

TESTS = Path(__file__).parents[2] / "tests"
sys.path.append(str(TESTS))

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Fault = Literal["kill", "freeze", "blink", "change_default", "visit", "visit_stuck"]
Seed = Annotated[int, typer.Option(help="Of all that is drawn: words, pauses, faults.")]


@app.callback()
def endurance() -> None:
    """Let a daemon run for long under faults; print a report as JSON, and the daemon's log on standard error."""


@app.command()
def live(
    hours: Annotated[float, typer.Option(help="Of real time.")] = 2.0,
    fault_every: Annotated[float, typer.Option(metavar="S", help="Mean seconds from one fault to the next.")] = 40.0,
    only: Annotated[Fault | None, typer.Option(help="Faults of this kind alone.")] = None,
    seed: Seed = 1,
) -> None:
    """Words through a private PulseAudio, which is killed, frozen and changed; needs pulseaudio and its utilities."""
    from live import run

    print(json.dumps(run(3600 * hours, fault_every, only, seed), indent=2))


@app.command()
def day(
    hours: Annotated[float, typer.Option(help="Of audio.")] = 24.0,
    fault_every: Annotated[float, typer.Option(metavar="S", help="Mean seconds of audio between two faults.")] = 90.0,
    seed: Seed = 1,
) -> None:
    """Audio as fast as it is taken, into a daemon under faults and into one without, whose events must be the same."""
    from day import run

    print(json.dumps(run(3600 * hours, fault_every, seed), indent=2))


app()
