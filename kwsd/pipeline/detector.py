"""The rule that turns the scores of successive windows into detections, at most one for each utterance.

A moving average smooths the scores, as in Chen, Parada and Heigold, "Small-footprint keyword spotting using deep neural
networks" (ICASSP 2014, section 2.4). TensorFlow's ``RecognizeCommands`` suppresses a word until a
different label has fired, so it cannot detect one word twice. Here each keyword is armed again when its own smoothed
score has fallen.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.models.bundle import DetectorSettings, keywords_among

MIN_SHARE = np.float32(0.2)
"""Share of its threshold that a keyword must score in each of the newest windows. A spoken word shows in all of them.
At the thresholds of the bundled models, this condition hardly ever decides (docs/internals/performance.md). But after
one low-scoring window, most of the following windows cannot be hits, so they need no scores."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A keyword that was just spoken.

    Parameters
    ----------
    keyword : str
    score : float
        Smoothed score at the decision, in (0, 1].
    sample : int
        Position of the decision: number of samples in the stream up to the end of the window.
    """

    keyword: str
    score: float
    sample: int

    @property
    def time_s(self) -> float:
        """Moment of the decision, in seconds from the start of the stream."""
        return self.sample / SAMPLE_RATE

    @property
    def window(self) -> tuple[int, int]:
        """First sample of the window that decided, and the sample after its last. Early on, the first is negative."""
        return self.sample - WINDOW_SAMPLES, self.sample


class Verdict(NamedTuple):
    """What the newest windows say about each keyword.

    Parameters
    ----------
    smoothed : ndarray, shape (keywords,), float32
        Mean evidence over the newest windows.
    hit : ndarray, shape (keywords,), bool
        Whether the newest window is a hit.
    """

    smoothed: Float32
    hit: NDArray[np.bool_]


def keyword_columns(labels: tuple[str, ...]) -> NDArray[np.intp]:
    """Return the indices of the keywords in the labels."""
    return np.array([labels.index(word) for word in keywords_among(labels)], np.intp)


def evidence(scores: Float32, columns: NDArray[np.intp]) -> Float32:
    """Return the evidence for each keyword: the geometric mean of its probability and that of all keywords together.

    Noise can tear a network between two keywords, such as "go" and "no". Each of them then has a low probability, but
    one of them was spoken. For a keyword without a rival, the evidence equals its probability. A model that knows only
    keywords is sure in every window that one was spoken; for such a model the probability alone counts.

    Parameters
    ----------
    scores : ndarray, shape (..., labels), float32
        Probabilities.
    columns : ndarray, shape (keywords,)
        Indices of the keywords in the labels.

    Returns
    -------
    ndarray, shape (..., keywords), float32
        At most 1.
    """
    own: Float32 = np.take(scores, columns, axis=-1)
    if len(columns) == scores.shape[-1]:
        return own
    shared: Float32 = np.sqrt(own * np.minimum(own.sum(axis=-1, keepdims=True), np.float32(1)))
    return shared


def required_windows(thresholds: Float32, smoothing_windows: int) -> NDArray[np.intp]:
    """Return in how many windows a keyword must show: with fewer, its mean cannot reach the threshold.

    Parameters
    ----------
    thresholds : ndarray, shape (keywords,), float32

    Returns
    -------
    ndarray, shape (keywords,)
        From 1 to `smoothing_windows`.
    """
    return np.ceil(smoothing_windows * thresholds).astype(np.intp)


class Detector:
    """Decides, window after window, whether a keyword was spoken.

    1. The smoothed score of a keyword is its mean evidence over the newest `smoothing_windows` windows.
    2. A window is a hit if the smoothed score has reached the threshold, and if the keyword shows in each of the newest
       `required_windows` windows. A keyword shows in a window if its evidence is at least `MIN_SHARE` of the threshold.
    3. A keyword is detected after `hits` hits in a row, if it is armed and the refractory period is over.
    4. A detection disarms its keyword. A smoothed score below `rearm` times the threshold arms the keyword again.

    If a keyword is due in the refractory period, it is detected at the end of that period, provided its score lasts.

    Parameters
    ----------
    labels : tuple of str
        Meaning of the scores, in order. Reserved labels are never detected.
    settings : DetectorSettings
        Has a threshold for each keyword among the labels.

    Attributes
    ----------
    blocked_until : int
        No window that ends before this sample can bring a detection.
    armed : ndarray, shape (keywords,), bool
    """

    def __init__(self, labels: tuple[str, ...], settings: DetectorSettings) -> None:
        self.keywords = [labels[index] for index in keyword_columns(labels)]
        self.settings = settings
        self.blocked_until = 0
        self.set_thresholds(settings.thresholds)
        self.reset()

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Use other thresholds from the next window on. Hits and armed keywords do not change."""
        self.thresholds: Float32 = np.array([thresholds[word] for word in self.keywords], np.float32)
        self.required = required_windows(self.thresholds, self.settings.smoothing_windows)
        self.least: Float32 = MIN_SHARE * self.thresholds
        self._rearm_below: Float32 = self.settings.rearm * self.thresholds

    def reset(self) -> None:
        """Forget hits and detected keywords, as after a gap in the stream. The refractory period still holds."""
        self._hits = np.zeros(len(self.keywords), np.intp)
        self.armed = np.ones(len(self.keywords), np.bool_)

    def judge(self, recent: Float32) -> Verdict:
        """Return what the newest windows say, without a change of the detector.

        Parameters
        ----------
        recent : ndarray, shape (smoothing_windows, keywords), float32
            Evidence of the newest windows, oldest first.
        """
        smoothed: Float32 = recent.sum(axis=0) / np.float32(len(recent))
        shown = leading_true(recent[::-1] >= self.least)
        return Verdict(smoothed, (smoothed >= self.thresholds) & (shown >= self.required))

    def decide(self, verdict: Verdict, sample: int) -> Detection | None:
        """Advance by one window, which ends at a sample of the stream, and return the detection if there is one."""
        self._hits = (self._hits + 1) * verdict.hit
        self.armed |= verdict.smoothed < self._rearm_below
        if sample < self.blocked_until or not self._hits.any():
            return None
        due = self.armed & (self._hits >= self.settings.hits)
        if not due.any():
            return None
        best = int(np.argmax(np.where(due, verdict.smoothed, -1)))
        self.armed[best] = False
        self.blocked_until = sample + round(self.settings.refractory_s * SAMPLE_RATE)
        return Detection(self.keywords[best], float(verdict.smoothed[best]), sample)

    def pass_by(self) -> None:
        """Advance by one window or more that cannot be hits for any keyword."""
        self._hits[:] = 0


def leading_true(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return, for each column, how many rows are true before the first false row."""
    found: NDArray[np.intp] = np.count_nonzero(np.logical_and.accumulate(rows, axis=0), axis=0)
    return found
