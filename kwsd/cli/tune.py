"""``kwsd tune``."""

import json as jsonlib
import math
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from kwsd.cli.options import ConfigFile, Labels, ModelName

if TYPE_CHECKING:
    from kwsd.audio.capture import Capture
    from kwsd.audio.source import Block
    from kwsd.config.schema import Config
    from kwsd.models.model import Model
    from kwsd.tuning.scoring import Scored, Scorer
    from kwsd.tuning.thresholds import Choice, Table

POLL_S = 0.1

DEAF_S = 5.0
"""Longest wait for a block: a device that works has been seen to need 2.2 seconds for its first."""


def tune(
    files: Annotated[
        list[Path] | None,
        typer.Argument(readable=False, help="Recordings, instead of the microphone: WAV, FLAC and others, any rate."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="As for `kwsd run`, instead of the one of the configuration.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, metavar="S", help="Listen for S seconds, and not until Ctrl+C.")
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="WORD=NUMBER", help="Write this threshold for a keyword. May be repeated."),
    ] = None,
    false_alarms_per_hour: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Write thresholds that keep to this rate; for recordings in which nobody says a keyword.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object: the table, the choice, the file.")] = False,
    model: ModelName = None,
    labels: Labels = None,
    config: ConfigFile = None,
) -> None:
    """Show what would be detected at which thresholds, and write your choice into the configuration.

    Listens until Ctrl+C, or takes recordings, and runs the pipeline of the daemon once. With nothing but --set it
    writes without listening. All else in the configuration file stays as it is.
    """
    from kwsd.config.load import load_config, parse_thresholds
    from kwsd.errors import UsageError
    from kwsd.models.find import configured_model
    from kwsd.tuning.thresholds import tabulate

    if chosen and false_alarms_per_hour is not None:
        raise UsageError("say either --set or --false-alarms-per-hour")
    if files and (device or seconds):
        raise UsageError("--device and --seconds are for listening: leave them out, or the files")
    flags = {"device": device, "model": model, "labels": labels.split(",") if labels else None}
    found = load_config(flags, config).config
    loaded = configured_model(found)
    wanted = parse_thresholds(chosen or [], "--set")
    # What cannot be is refused before anybody has listened for an hour.
    configured_model(load_config({**flags, "thresholds": wanted}, config).config)
    if wanted and not (files or device or seconds):
        _write(loaded, wanted, config)
        return
    scored, code = _files(loaded, files) if files else _listen(loaded, _device(found), seconds or math.inf)
    table, choice = tabulate(scored, loaded.detector), _choose(scored, loaded, wanted, false_alarms_per_hour)
    if not json:
        _show(table, choice)
    path = _write(loaded, choice.thresholds, config) if choice else None
    if json:
        print(_object(table, choice, path))
    if code:
        raise typer.Exit(code)


def _show(table: "Table", choice: "Choice | None") -> None:
    from kwsd.cli.table import print_table

    print_table(table, choice)
    if choice is None:
        _say("to choose:  kwsd tune --set WORD=NUMBER")


def _device(config: "Config") -> str:
    from kwsd.errors import UsageError

    first, *others = config.streams()
    if others:
        choices = ", ".join(f"{shlex.quote(stream.device)} ({stream.name})" for stream in (first, *others))
        raise UsageError(f"the configuration has several streams: say which with --device, one of {choices}")
    return first.device


def _files(model: "Model", files: list[Path]) -> "tuple[Scored, int]":
    """Scores of what is readable of recordings, and the exit code."""
    from rich.console import Console
    from rich.progress import track

    from kwsd.audio.file import FileSource
    from kwsd.errors import AudioDataError
    from kwsd.log import print_error
    from kwsd.tuning.scoring import Scorer

    scorer, code = Scorer(model), 0
    console = Console(stderr=True)
    for file in track(files, "scoring", console=console, transient=True, disable=not console.is_terminal):
        try:
            for block in FileSource(file, paced=False).blocks():
                scorer.feed(block.samples)
        except AudioDataError as error:
            print_error(str(error))
            code = error.exit_code
        scorer.end()
    if not scorer.seconds:
        raise typer.Exit(code)
    return scorer.scored(), code


def _listen(model: "Model", device: str, seconds: float) -> "tuple[Scored, int]":
    """Scores of what a device delivers until the time is over, Ctrl+C, or its end; and the exit code."""
    from kwsd.audio.capture import Capture
    from kwsd.audio.opening import Opener
    from kwsd.errors import KwsdError
    from kwsd.log import print_error, silence_libraries
    from kwsd.tuning.scoring import Scorer

    silence_libraries()
    scorer, code = Scorer(model), 0
    limit = "until Ctrl+C" if seconds == math.inf else f"for {seconds:g} s, or until Ctrl+C"
    with closing(Capture(Opener(device))) as capture, _ctrl_c() as pressed:
        try:
            for block in _blocks(capture, device, limit, pressed):
                _hear(block, scorer)
                if scorer.seconds >= seconds:
                    break
        except KwsdError as error:
            if not scorer.seconds:
                raise
            # What was heard before is worth a table.
            print_error(str(error))
            code = error.exit_code
    if not scorer.seconds:
        raise KeyboardInterrupt
    scorer.end()
    return scorer.scored(), code


def _blocks(capture: "Capture", device: str, limit: str, pressed: threading.Event) -> "Iterator[Block]":
    """What a device delivers until its end or Ctrl+C; what becomes of it goes to standard error."""
    from kwsd.audio.capture import Arrival, End, Lost, Opened
    from kwsd.audio.source import is_live
    from kwsd.errors import AudioLostError

    while not pressed.is_set():
        item = capture.next(POLL_S)
        if isinstance(item, Arrival):
            yield item.block
        elif isinstance(item, Opened):
            _say(f"listening to {item.name} {limit}; the thresholds in force detect:")
        elif isinstance(item, Lost):
            _say(f"{item.reason}: waiting for it")
        elif isinstance(item, End):
            if item.error:
                raise item.error
            return
        elif is_live(device) and time.monotonic() - capture.active_s > DEAF_S:
            raise AudioLostError(f"{device} delivers nothing, though it is open")


def _hear(block: "Block", scorer: "Scorer") -> None:
    if block.gap:
        scorer.end()
    for detection in scorer.feed(block.samples):
        _say(f"{timedelta(seconds=int(scorer.seconds))}  {detection.keyword:<10} {detection.score:.2f}")


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Set at the first Ctrl+C, which then only ends the listening; the second ends the command."""
    pressed = threading.Event()

    def press(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, press)
    yield pressed
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _choose(scored: "Scored", model: "Model", wanted: dict[str, float], per_hour: float | None) -> "Choice | None":
    """What is to be written, if anything."""
    from kwsd.errors import UsageError
    from kwsd.tuning.thresholds import HIGHEST, ZERO_IN_HOURS, choice, choose, long_enough

    settings = model.detector
    if per_hour is None:
        return choice(scored, settings, settings.thresholds | wanted) if wanted else None
    if not long_enough(scored.hours, per_hour):
        needed = f"{ZERO_IN_HOURS / per_hour:.2g} h without a detection" if per_hour else "no length"
        _say(f"{scored.hours:.2f} h of audio are too short to prove that rate, {needed} would: no threshold is lowered")
    found = choose(scored, settings, per_hour)
    if found is None or min(found.thresholds.values()) >= HIGHEST:
        raise UsageError(
            f"no thresholds that let a word through keep to a rate of {per_hour:g} an hour here: did somebody say one?"
        )
    return found


def _write(model: "Model", thresholds: dict[str, float], config: Path | None) -> Path | None:
    """Write the thresholds that differ from those in force, if any; gives the file."""
    from kwsd.config.edit import write_thresholds
    from kwsd.config.load import load_config
    from kwsd.models.find import configured_model

    before = model.detector.thresholds
    changed = {word: threshold for word, threshold in thresholds.items() if before[word] != threshold}
    if not changed:
        _say("these thresholds are in force already: nothing was written")
        return None
    # The model of the configuration may be another than the one that was listened with, and must know the words.
    configured_model(load_config({"thresholds": changed}, config).config)
    path = write_thresholds(changed, config, os.environ)
    _say(f"wrote {path}: {_listed(changed)}")
    in_force = load_config(file=config).config.thresholds
    if hidden := {word: in_force[word] for word, threshold in changed.items() if in_force[word] != threshold}:
        _say(f"but KWSD_THRESHOLDS, which goes over the file, says: {_listed(hidden)}")
    _say("a running kwsd takes them with  kwsd reload")
    return path


def _listed(thresholds: dict[str, float]) -> str:
    return "  ".join(f"{word} {threshold:g}" for word, threshold in thresholds.items())


def _object(table: "Table", choice: "Choice | None", path: Path | None) -> str:
    import msgspec

    written = {"chosen": choice and msgspec.to_builtins(choice), "file": path and str(path)}
    return jsonlib.dumps(msgspec.to_builtins(table) | written)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
