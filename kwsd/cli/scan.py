"""``kwsd scan``."""

import json as jsonlib
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from kwsd.cli.options import ConfigFile, Labels, ModelName

MINUTES_FOR_A_RATE = 6

if TYPE_CHECKING:
    from kwsd.models.model import Model
    from kwsd.pipeline.detector import Detection


def scan(
    files: Annotated[list[Path], typer.Argument(readable=False, help="Sound files: WAV, FLAC and others, any rate.")],
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a detection: file, time_s, keyword, score.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Files scanned at a time, each on a core of its own.")] = 1,
    model: ModelName = None,
    labels: Labels = None,
    config: ConfigFile = None,
) -> None:
    """Find keywords in sound files, by the same pipeline and the same configuration as the daemon.

    A file that cannot be used is named, the others are scanned all the same, and the exit code is 65. Several files, or
    long ones, end with a line on standard error that says how often there was a detection, and the speed.
    """
    from kwsd.errors import AudioDataError
    from kwsd.log import print_error

    setting = Setting(model, labels, config)
    loaded = _load(setting)
    scanning = _in_turn(files, loaded) if jobs == 1 else _side_by_side(files, setting, min(jobs, len(files)))
    found, seconds, failed, started_s = 0, 0.0, False, time.monotonic()
    # A bar would be torn to pieces by detections on the same terminal.
    if len(files) > 1 and sys.stderr.isatty() and not sys.stdout.isatty():
        scanning = _with_bar(scanning, len(files))
    for scanner, detections in scanning:
        for detection in detections:
            _print(scanner.file, detection, as_json=json)
            found += 1
        if scanner.error:
            print_error(scanner.error)
            failed = True
        seconds += scanner.seconds
    if len(files) > 1 or seconds >= MINUTES_FOR_A_RATE * 60:
        print(_summary(found, seconds, time.monotonic() - started_s), file=sys.stderr)
    if failed:
        raise typer.Exit(AudioDataError.exit_code)


class Setting(NamedTuple):
    """What decides on the model."""

    model: str | None
    labels: str | None
    config: Path | None


class Scanner:
    """Runs one file through the pipeline.

    Attributes
    ----------
    seconds : float
        Audio read so far.
    error : str
        What is wrong with the file; empty when nothing is.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seconds = 0.0
        self.error = ""

    def detections(self, model: "Model") -> "Iterator[Detection]":
        """Detections of the whole file, or of what was readable of a damaged one."""
        from kwsd.audio.file import FileSource
        from kwsd.errors import AudioDataError
        from kwsd.frontend import SAMPLE_RATE
        from kwsd.pipeline.spotter import Spotter

        spotter = Spotter(model)
        try:
            for block in FileSource(self.file, paced=False).blocks():
                self.seconds += len(block.samples) / SAMPLE_RATE
                yield from spotter.feed(block.samples)
        except AudioDataError as error:
            self.error = str(error)
        yield from spotter.flush()


Scanned = tuple[Scanner, "Iterable[Detection]"]


def _in_turn(files: list[Path], model: "Model") -> Iterator[Scanned]:
    """Scanners whose detections are found as they are taken."""
    return ((scanner, scanner.detections(model)) for scanner in map(Scanner, files))


def _with_bar(scanning: Iterator[Scanned], count: int) -> Iterator[Scanned]:
    """The same, with a bar on standard error that says how many are left."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield from progress.track(scanning, count, description="scanning")


def _side_by_side(files: list[Path], setting: Setting, jobs: int) -> Iterator[Scanned]:
    """Scanners that have done their work in processes of their own, in the order of the files."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    from kwsd.errors import KwsdError

    # Ctrl+C, which a terminal sends to all processes, ends those without a word.
    context, silent = get_context("spawn"), (signal.SIGINT, signal.SIG_DFL)
    with ProcessPoolExecutor(jobs, context, initializer=signal.signal, initargs=silent) as pool:
        try:
            yield from pool.map(partial(_scan, setting), files)
        except BrokenProcessPool:
            raise KwsdError("one of the scanning processes was killed") from None


def _scan(setting: Setting, file: Path) -> Scanned:
    scanner = Scanner(file)
    return scanner, list(scanner.detections(_load(setting)))


@cache
def _load(setting: Setting) -> "Model":
    from kwsd.config.load import load_config
    from kwsd.models.find import configured_model

    flags = {"model": setting.model, "labels": setting.labels.split(",") if setting.labels else None}
    return configured_model(load_config(flags, setting.config).config)


def _summary(found: int, seconds: float, taken_s: float) -> str:
    """How often there was a detection, and the speed; a rate only where there is enough audio for one."""
    speed = f"{seconds / taken_s:.0f} times real time"
    if seconds < MINUTES_FOR_A_RATE * 60:
        return f"{found} detections in {seconds:.0f} s of audio, {speed}"
    return f"{found} detections in {seconds / 3600:.2f} h of audio, {found * 3600 / seconds:.1f} an hour, {speed}"


def _print(file: Path, detection: "Detection", *, as_json: bool) -> None:
    if as_json:
        row = {
            "file": str(file),
            "time_s": detection.time_s,
            "keyword": detection.keyword,
            "score": round(detection.score, 4),
        }
        line = jsonlib.dumps(row)
    else:
        line = f"{file}  {detection.time_s:8.2f} s  {detection.keyword:<10} {detection.score:.2f}"
    sys.stdout.write(line + "\n")
