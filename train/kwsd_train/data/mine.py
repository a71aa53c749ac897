"""Mining of hard negatives: windows without a keyword in which a model detects one."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from kwsd.errors import AudioDataError, OutputError
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.models.model import Model
from kwsd.tuning.scoring import score_recordings
from kwsd_train.data.features import as_float
from kwsd_train.data.recording import load_recording

TABLE_FILE = "mined.csv"


@dataclass(frozen=True)
class MinedWindow:
    """A window without a keyword in which a model detects one.

    Parameters
    ----------
    source : Path
        File of the recording.
    time_s : float
        End of the window, in seconds from the start of the recording.
    label : str
        Keyword with the highest score.
    score : float
        Score of that keyword.
    samples : ndarray, shape (16000,), float32
        Samples of the window.
    """

    source: Path
    time_s: float
    label: str
    score: float
    samples: Float32


def mine_windows(
    model: Model, paths: Sequence[Path], threshold: float, say: Callable[[str], None]
) -> Iterator[MinedWindow]:
    """Yield the windows in which a keyword's score reaches the threshold; of overlapping windows, only the highest.

    Parameters
    ----------
    paths : sequence of Path
        Recordings without the keywords.
    threshold : float
        Minimum score in a single window, not smoothed, in (0, 1].
    say : callable
        Receives one line for each recording that cannot be used.
    """
    for path in paths:
        try:
            recording = load_recording(path)
        except AudioDataError as error:
            say(f"skipped: {error}")
            continue
        if recording.damage:
            say(recording.damage)
        yield from _mine_recording(model, path, as_float(recording.samples), threshold)


def write_mined_windows(found: Iterator[MinedWindow], folder: Path) -> int:
    """Write windows as WAV files with one folder per speaker, and list them in ``mined.csv``.

    `kwsd_train.data.dataset.load_recordings` can read the folder.

    Returns
    -------
    int
        Number of written windows.

    Raises
    ------
    OutputError
        The folder exists already or cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        with (folder / TABLE_FILE).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["file", "source", "time_s", "label", "score"])
            number = 0
            for number, window in enumerate(found, 1):
                path = Path(window.source.parent.name) / f"{window.source.stem}_{number:06}.wav"
                (folder / path.parent).mkdir(exist_ok=True)
                soundfile.write(folder / path, window.samples, SAMPLE_RATE, subtype="PCM_16")
                table.writerow([path, window.source, f"{window.time_s:.2f}", window.label, f"{window.score:.4f}"])
    except FileExistsError:
        raise OutputError(f"{folder} exists already: choose a new folder with --out") from None
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from None
    return number


def _mine_recording(model: Model, path: Path, samples: Float32, threshold: float) -> Iterator[MinedWindow]:
    columns = [model.labels.index(word) for word in model.keywords]
    scored = score_recordings(model, [samples])
    scores = scored.scores[:, columns]  # (windows, keywords)
    for row in _find_peaks(scores.max(1), threshold, WINDOW_SAMPLES // model.hop_samples):
        end, best = int(scored.ends[row]), int(scores[row].argmax())
        word = model.keywords[best]
        yield MinedWindow(path, end / SAMPLE_RATE, word, float(scores[row, best]), _cut_window(samples, end))


def _find_peaks(scores: Float32, threshold: float, distance: int) -> Iterator[int]:
    """Yield rows at or above the threshold, highest first, each at least `distance` from the earlier ones."""
    free = scores >= threshold
    while free.any():
        row = int(np.where(free, scores, -1).argmax())
        # Overlapping windows contain nearly the same sound, so they add little to the training.
        free[max(row - distance + 1, 0) : row + distance] = False
        yield row


def _cut_window(samples: Float32, end: int) -> Float32:
    """Return the window that ends at a sample, with zeros before the start and after the end of the recording."""
    padded = np.pad(samples, (WINDOW_SAMPLES, max(end - len(samples), 0)))
    return padded[end : end + WINDOW_SAMPLES]
