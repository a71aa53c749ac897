"""Mining of hard negatives: what a model takes for a keyword in hours of recordings that hold none."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from kwsd.errors import AudioDataError, OutputError
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.models.bundle import RESERVED_LABELS
from kwsd.models.model import Model
from kwsd.tuning.scoring import score_recordings
from kwsd_train.data.dataset import read_recording
from kwsd_train.data.features import as_float

TABLE = "mined.csv"


@dataclass(frozen=True)
class Mined:
    """A window that a model took for a keyword.

    Parameters
    ----------
    source : Path
        The recording.
    time_s : float
        End of the window, in seconds from the start of the recording.
    label : str
    score : float
    samples : ndarray, shape (16000,), float32
    """

    source: Path
    time_s: float
    label: str
    score: float
    samples: Float32


def mine(model: Model, paths: Sequence[Path], threshold: float, say: Callable[[str], None]) -> Iterator[Mined]:
    """Windows in which a keyword's score reaches a threshold, the highest first of any that overlap.

    Parameters
    ----------
    model : Model
    paths : sequence of Path
        Recordings without the keywords.
    threshold : float
        In (0, 1]; the raw score of a single window counts.
    say : callable
        Takes a line about each recording that cannot be used.
    """
    for path in paths:
        try:
            samples = as_float(read_recording(path))
        except AudioDataError as error:
            say(f"skipped: {error}")
        else:
            yield from _mine_recording(model, path, samples, threshold)


def write(found: Iterator[Mined], folder: Path) -> int:
    """Write windows as WAV files, in a folder for each speaker as `kwsd_train.data.dataset.load_recordings` reads them.

    Returns
    -------
    int
        Windows written; ``mined.csv`` lists them.

    Raises
    ------
    OutputError
        The folder exists already, or cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["file", "source", "time_s", "label", "score"])
            number = 0
            for number, window in enumerate(found, 1):
                path = Path(window.source.parent.name) / f"{window.source.stem}_{number:06}.wav"
                (folder / path.parent).mkdir(exist_ok=True)
                soundfile.write(folder / path, window.samples, SAMPLE_RATE, subtype="PCM_16")
                table.writerow([path, window.source, f"{window.time_s:.2f}", window.label, f"{window.score:.4f}"])
    except FileExistsError:
        raise OutputError(f"{folder} is there already: choose a new folder with --out") from None
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from None
    return number


def _mine_recording(model: Model, path: Path, samples: Float32, threshold: float) -> Iterator[Mined]:
    columns = [index for index, label in enumerate(model.labels) if label not in RESERVED_LABELS]
    scored = score_recordings(model, [samples])
    scores = scored.scores[:, columns]
    for row in _peaks(scores.max(1), threshold, WINDOW_SAMPLES // model.hop_samples):
        end, best = int(scored.ends[row]), int(scores[row].argmax())
        label = model.labels[columns[best]]
        yield Mined(path, end / SAMPLE_RATE, label, float(scores[row, best]), _window(samples, end))


def _peaks(scores: Float32, threshold: float, apart: int) -> Iterator[int]:
    """Rows over the threshold, from the highest down, each at least `apart` from those before it."""
    free = scores >= threshold
    while free.any():
        row = int(np.where(free, scores, -1).argmax())
        free[max(row - apart + 1, 0) : row + apart] = False
        yield row


def _window(samples: Float32, end: int) -> Float32:
    """The window that ends at a sample, with silence before and after the recording."""
    padded = np.pad(samples, (WINDOW_SAMPLES, max(end - len(samples), 0)))
    return padded[end : end + WINDOW_SAMPLES]
