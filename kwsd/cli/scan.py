"""``kwsd scan``."""

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kwsd.detector import Detection
    from kwsd.model import Model


def scan(
    files: Annotated[list[Path], typer.Argument(help="Sound files: WAV, FLAC and others, any rate.")],
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a detection: file, time_s, keyword, score.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="A bundle folder, an installed model's name, or a SavedModel folder.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels of a SavedModel that does not hold them: a,b,c in order.")
    ] = None,
) -> None:
    """Find keywords in sound files, by the same pipeline as the daemon.

    A file that cannot be used is named, the others are scanned all the same, and the exit code is 65.
    """
    from kwsd.errors import AudioDataError
    from kwsd.log import say_error
    from kwsd.model import load_model

    loaded = load_model(model, labels.split(",") if labels else ())
    failed = False
    for file in files:
        try:
            for detection in _detections(file, loaded):
                _print(file, detection, as_json=json)
        except AudioDataError as error:
            say_error(str(error))
            failed = True
    if failed:
        raise typer.Exit(AudioDataError.exit_code)


def _detections(file: Path, model: "Model") -> "Iterator[Detection]":
    from kwsd.errors import AudioDataError
    from kwsd.sources.file import FileSource
    from kwsd.spotter import Spotter

    spotter = Spotter(model)
    source = FileSource(file, paced=False)
    try:
        for block in source.blocks():
            yield from spotter.feed(block.samples)
    except AudioDataError:
        yield from spotter.flush()
        raise
    yield from spotter.flush()


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
