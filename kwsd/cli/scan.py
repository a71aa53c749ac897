"""``kwsd scan``."""

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kwsd.cli.options import ConfigFile, Labels, ModelName

MINUTES_FOR_A_RATE = 6

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kwsd.detector import Detection
    from kwsd.model import Model


def scan(
    files: Annotated[list[Path], typer.Argument(help="Sound files: WAV, FLAC and others, any rate.")],
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a detection: file, time_s, keyword, score.")
    ] = False,
    model: ModelName = None,
    labels: Labels = None,
    config: ConfigFile = None,
) -> None:
    """Find keywords in sound files, by the same pipeline and the same configuration as the daemon.

    A file that cannot be used is named, the others are scanned all the same, and the exit code is 65. Several files end
    with a line on standard error that says how often there was a detection.
    """
    from kwsd.config import load_config
    from kwsd.errors import AudioDataError
    from kwsd.log import say_error
    from kwsd.setup import configured_model

    flags = {"model": model, "labels": labels.split(",") if labels else None}
    loaded = configured_model(load_config(flags, config).config)
    found, seconds, failed = 0, 0.0, False
    for file in files:
        scanner = Scanner(file, loaded)
        try:
            for detection in scanner.detections():
                _print(file, detection, as_json=json)
                found += 1
        except AudioDataError as error:
            say_error(str(error))
            failed = True
        seconds += scanner.seconds
    if len(files) > 1:
        print(_summary(found, seconds), file=sys.stderr)
    if failed:
        raise typer.Exit(AudioDataError.exit_code)


def _summary(found: int, seconds: float) -> str:
    """How often there was a detection; a rate only where there is enough audio for one."""
    if seconds < MINUTES_FOR_A_RATE * 60:
        return f"{found} detections in {seconds:.0f} s of audio"
    return f"{found} detections in {seconds / 3600:.2f} h of audio, {found * 3600 / seconds:.1f} an hour"


class Scanner:
    """Runs one file through the pipeline.

    Attributes
    ----------
    seconds : float
        Audio read so far.
    """

    def __init__(self, file: Path, model: "Model") -> None:
        from kwsd.spotter import Spotter

        self._file = file
        self._spotter = Spotter(model)
        self.seconds = 0.0

    def detections(self) -> "Iterator[Detection]":
        """Detections of the whole file; what was readable of a damaged one comes before the error."""
        from kwsd.errors import AudioDataError
        from kwsd.frontend import SAMPLE_RATE
        from kwsd.sources.file import FileSource

        try:
            for block in FileSource(self._file, paced=False).blocks():
                self.seconds += len(block.samples) / SAMPLE_RATE
                yield from self._spotter.feed(block.samples)
        except AudioDataError:
            yield from self._spotter.flush()
            raise
        yield from self._spotter.flush()


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
