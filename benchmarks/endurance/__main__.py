"""Runs the daemon under faults for hours. ``docs/internals/reliability.md`` contains the results.

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
Seed = Annotated[int, typer.Option(help="Seed of the random words, pauses and faults.")]


@app.callback()
def endurance() -> None:
    """Run a daemon under faults for a long time. Print a report as JSON, and the daemon's log on standard error."""


@app.command()
def live(
    hours: Annotated[float, typer.Option(help="Hours of real time.")] = 2.0,
    fault_every: Annotated[float, typer.Option(metavar="S", help="Mean seconds between two faults.")] = 40.0,
    only: Annotated[Fault | None, typer.Option(help="Only faults of this kind.")] = None,
    seed: Seed = 1,
) -> None:
    """Play words through a private PulseAudio server that is killed, frozen and changed. Needs pulseaudio-utils."""
    from live import run

    print(json.dumps(run(3600 * hours, fault_every, only, seed), indent=2))


@app.command()
def day(
    hours: Annotated[float, typer.Option(help="Hours of audio.")] = 24.0,
    fault_every: Annotated[float, typer.Option(metavar="S", help="Mean seconds of audio between two faults.")] = 90.0,
    seed: Seed = 1,
) -> None:
    """Feed the same audio at full speed to a daemon with faults and to one without. Their events must be equal."""
    from day import run

    print(json.dumps(run(3600 * hours, fault_every, seed), indent=2))


app()
