"""What is in a data folder, and which of its clips somebody should listen to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.levels import peak_db, rms_db
from kwsd_train.data.dataset import Clips
from kwsd_train.data.features import as_float

SILENT_DB = -46.0
"""A clip that never reaches this, 0.5 % of full scale, holds no word that could be heard."""
CONFIDENT = 0.9
"""Score from which a model that takes a clip for another label makes it a suspect."""


@dataclass(frozen=True)
class Measures:
    """Length and levels of clips.

    Parameters
    ----------
    seconds : ndarray, shape (n,), float64
        Of the whole files; only their first second is trained on.
    mean_db, peak_db : ndarray, shape (n,), float64
        Levels of the first second, below full scale.
    """

    seconds: NDArray[np.float64]
    mean_db: NDArray[np.float64]
    peak_db: NDArray[np.float64]


class Doubt(NamedTuple):
    """A clip, by its place among all, and what a model takes it for.

    Parameters
    ----------
    clip : int
    own : float
        Score of the label that the clip was filed under.
    taken_for : str
    score : float
        Of that other label.
    """

    clip: int
    own: float
    taken_for: str
    score: float


def measure(clips: Clips) -> Measures:
    """Length and levels of every clip."""
    rows = [as_float(row) for row in clips.samples]
    return Measures(
        np.array([soundfile.info(path).frames for path in clips.paths]) / SAMPLE_RATE,
        np.array([rms_db(row) for row in rows]),
        np.array([peak_db(row) for row in rows]),
    )


def duplicates(clips: Clips) -> list[list[int]]:
    """Clips with the same samples, in groups; the largest first."""
    groups = defaultdict(list)
    for index, row in enumerate(clips.samples):
        if row.any():
            groups[row.tobytes()].append(index)
    return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)


def silent(measures: Measures) -> list[int]:
    """Clips that never reach `SILENT_DB`, the quietest first."""
    return [int(index) for index in np.argsort(measures.peak_db) if measures.peak_db[index] < SILENT_DB]


def doubts(words: NDArray[np.str_], scores: Float32, labels: Sequence[str]) -> list[Doubt]:
    """Every clip whose word is a label, from that which its own label fits worst.

    Parameters
    ----------
    words : ndarray, shape (n,), str
        The folder of each clip. One that is no label counts as `_unknown_`, if the model knows that.
    scores : ndarray, shape (n, labels), float32
    labels : sequence of str
    """
    places = {label: place for place, label in enumerate(labels)}
    found = []
    for clip, (word, row) in enumerate(zip(words.tolist(), scores, strict=True)):
        place = places.get(word, places.get("_unknown_"))
        if place is not None:
            others = row.copy()
            others[place] = -1
            best = int(others.argmax())
            found.append(Doubt(clip, float(row[place]), labels[best], float(row[best])))
    return sorted(found, key=lambda doubt: (doubt.own, -doubt.score))


def mislabelled(found: Sequence[Doubt]) -> list[Doubt]:
    """The doubts in which a model is sure of another label, the surest first."""
    return sorted((doubt for doubt in found if doubt.score >= CONFIDENT), key=lambda doubt: -doubt.score)
