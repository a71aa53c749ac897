"""Examination of the clips of a data folder. The examination finds suspicious clips that a person should listen to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import Float32
from kwsd.levels import peak_db, rms_db
from kwsd.models.bundle import UNKNOWN_LABEL
from kwsd_train.data.dataset import ClipSet
from kwsd_train.data.features import as_float

SILENT_DB = -46.0
"""Clips with a peak level below this value in dB count as silent.

The limit for silent clips is 0.5 % of full scale, which is too quiet for an audible word.
"""
CONFIDENT_SCORE = 0.9
"""A clip counts as probably mislabelled if the score of another label is at least this value."""


@dataclass(frozen=True)
class ClipMeasures:
    """Lengths and sound levels of clips.

    Parameters
    ----------
    seconds : ndarray, shape (n,), float64
        Lengths of the whole files, in seconds. Training uses only one second of each file.
    mean_db, peak_db : ndarray, shape (n,), float64
        Mean and peak level of the second that training uses, in dB relative to full scale.
    """

    seconds: NDArray[np.float64]
    mean_db: NDArray[np.float64]
    peak_db: NDArray[np.float64]


class LabelComparison(NamedTuple):
    """Comparison of the score of a clip's own label with the best score of any other label.

    Parameters
    ----------
    clip : int
        Index of the clip.
    own_score : float
        Score of the clip's own label, which is the name of its folder.
    other_label : str
        Label with the highest score among all labels except the clip's own label.
    other_score : float
        Score of the label `other_label`.
    """

    clip: int
    own_score: float
    other_label: str
    other_score: float


def measure_clips(clips: ClipSet) -> ClipMeasures:
    """Measure the length, the mean level and the peak level of every clip."""
    rows = [as_float(row) for row in clips.samples]
    return ClipMeasures(
        clips.seconds,
        np.array([rms_db(row) for row in rows]),
        np.array([peak_db(row) for row in rows]),
    )


def find_duplicates(clips: ClipSet) -> list[list[int]]:
    """Group the indices of clips with identical samples, largest group first.

    Clips that contain only zeros are left out.
    """
    groups = defaultdict(list)
    for index, row in enumerate(clips.samples):
        if row.any():  # silent clips are reported separately
            groups[row.tobytes()].append(index)
    return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)


def find_silent(measures: ClipMeasures) -> list[int]:
    """Return the indices of the clips whose peak level is below `SILENT_DB`, quietest clip first."""
    return [int(index) for index in np.argsort(measures.peak_db) if measures.peak_db[index] < SILENT_DB]


def compare_labels(words: NDArray[np.str_], scores: Float32, labels: Sequence[str]) -> list[LabelComparison]:
    """Compare the score of each clip's own label with the scores of all other labels.

    In the returned list, the clip with the lowest score of its own label comes first.

    Parameters
    ----------
    words : ndarray, shape (n,), str
        Name of each clip's folder. A word without a label counts as `_unknown_`. If the model does not have the label
        `_unknown_`, clips of words without a label are left out.
    scores : ndarray, shape (n, labels), float32
        Scores of each clip (row) for each label (column).
    labels : sequence of str
        Labels that belong to the columns of `scores`.
    """
    places = {label: place for place, label in enumerate(labels)}
    found = []
    for clip, (word, row) in enumerate(zip(words.tolist(), scores, strict=True)):
        place = places.get(word, places.get(UNKNOWN_LABEL))
        if place is not None:
            others = row.copy()
            others[place] = -1  # below every score, so the own label cannot be the best other label
            best = int(others.argmax())
            found.append(LabelComparison(clip, float(row[place]), labels[best], float(row[best])))
    return sorted(found, key=lambda comparison: (comparison.own_score, -comparison.other_score))


def find_mislabelled(comparisons: Sequence[LabelComparison]) -> list[LabelComparison]:
    """Return the clips for which another label has a score of at least `CONFIDENT_SCORE`, highest score first."""
    confident = (comparison for comparison in comparisons if comparison.other_score >= CONFIDENT_SCORE)
    return sorted(confident, key=lambda comparison: -comparison.other_score)
