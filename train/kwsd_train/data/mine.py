"""Mining of hard negatives. A hard negative is a window without a keyword in which a model detects a keyword."""

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
    """A window that does not contain a keyword, although a model detects a keyword in the window.

    Parameters
    ----------
    source : Path
        Path of the recording.
    time_s : float
        End of the window, in seconds from the start of the recording.
    label : str
        Keyword with the highest score in the window.
    score : float
        Score of the keyword that `label` names.
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
    """Yield the windows in which the score of a keyword reaches the threshold.

    If windows overlap, only the window with the highest score is yielded.

    Parameters
    ----------
    paths : sequence of Path
        Recordings that do not contain the keywords.
    threshold : float
        Minimum score of a keyword in a single window, without smoothing. The minimum score is in (0, 1].
    say : callable
        Function that receives one line of text for each recording that is damaged or cannot be used.
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
    """Write each window as a WAV file in a folder for its speaker, and list all windows in ``mined.csv``.

    The function `kwsd_train.data.dataset.load_recordings` can read the written folder.

    Returns
    -------
    int
        Number of written windows.

    Raises
    ------
    OutputError
        The folder already exists or cannot be written.
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
    """Yield the rows with scores at or above the threshold, highest score first.

    Each row is at least `distance` rows away from all rows that were yielded earlier.
    """
    free = scores >= threshold
    while free.any():
        row = int(np.where(free, scores, -1).argmax())
        # Overlapping windows contain nearly the same sound, so they add little to the training.
        free[max(row - distance + 1, 0) : row + distance] = False
        yield row


def _cut_window(samples: Float32, end: int) -> Float32:
    """Return the window that ends at sample `end`.

    Samples before the start or after the end of the recording are zeros.
    """
    padded = np.pad(samples, (WINDOW_SAMPLES, max(end - len(samples), 0)))
    return padded[end : end + WINDOW_SAMPLES]
