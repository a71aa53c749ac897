"""Converts the scores of successive windows to detections, with at most one detection for each utterance.

A moving average smooths the scores, as in Chen, Parada and Heigold, "Small-footprint keyword spotting using deep neural
networks" (ICASSP 2014, section 2.4). TensorFlow's ``RecognizeCommands`` suppresses a word until it has detected a
different label, so it cannot detect a repeated word. In kwsd, a keyword can be detected again when its own smoothed
score has fallen.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.models.bundle import DetectorSettings, keywords_among

MIN_SHARE = np.float32(0.2)
"""Minimum ratio of a keyword's evidence to its threshold that the detector requires in each of the newest windows. A
spoken word reaches this ratio in all of these windows. At the thresholds of the bundled models, this condition almost
never prevents a detection (docs/internals/performance.md). The condition saves time: after a window with a low score,
most of the next windows cannot be hits, so they need no scores."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A detection of a keyword in a stream of audio.

    Parameters
    ----------
    keyword : str
    score : float
        Smoothed score of the keyword at the decision, in (0, 1].
    sample : int
        Position of the decision: number of samples from the start of the stream to the end of the deciding window.
    """

    keyword: str
    score: float
    sample: int

    @property
    def time_s(self) -> float:
        """Time of the decision, in seconds from the start of the stream."""
        return self.sample / SAMPLE_RATE

    @property
    def window(self) -> tuple[int, int]:
        """First sample of the deciding window, and the sample after its end.

        Early in a stream, the first sample is negative.
        """
        return self.sample - WINDOW_SAMPLES, self.sample


class Verdict(NamedTuple):
    """The smoothed scores of all keywords after the newest window, and whether this window is a hit.

    Parameters
    ----------
    smoothed : ndarray, shape (keywords,), float32
        Mean evidence for each keyword over the newest windows.
    hit : ndarray, shape (keywords,), bool
        Whether the newest window is a hit for each keyword.
    """

    smoothed: Float32
    hit: NDArray[np.bool_]


def keyword_columns(labels: tuple[str, ...]) -> NDArray[np.intp]:
    """Return the indices of the keywords among the labels."""
    return np.array([labels.index(word) for word in keywords_among(labels)], np.intp)


def evidence(scores: Float32, columns: NDArray[np.intp]) -> Float32:
    """Return the evidence for each keyword: the geometric mean of its own probability and the sum for all keywords.

    In noise, a network may hesitate between two keywords, such as "go" and "no". Each of the two keywords then has a
    low probability, although one of the two was spoken. If all other keywords have probability 0, the evidence for a
    keyword equals its probability. A model whose labels are all keywords expects a keyword in every window. For this
    kind of model, the evidence is the probability alone.

    Parameters
    ----------
    scores : ndarray, shape (..., labels), float32
        Probabilities.
    columns : ndarray, shape (keywords,)
        Indices of the keywords among the labels.

    Returns
    -------
    ndarray, shape (..., keywords), float32
        Evidence for each keyword, at most 1.
    """
    own: Float32 = np.take(scores, columns, axis=-1)
    if len(columns) == scores.shape[-1]:
        return own
    shared: Float32 = np.sqrt(own * np.minimum(own.sum(axis=-1, keepdims=True), np.float32(1)))
    return shared


def required_windows(thresholds: Float32, smoothing_windows: int) -> NDArray[np.intp]:
    """Return the number of windows that a keyword's mean score needs to reach its threshold, if every score is 1.

    Parameters
    ----------
    thresholds : ndarray, shape (keywords,), float32

    Returns
    -------
    ndarray, shape (keywords,)
        Number of windows for each keyword, from 1 to `smoothing_windows`.
    """
    return np.ceil(smoothing_windows * thresholds).astype(np.intp)


class Detector:
    """Decides after each window whether a keyword was spoken.

    1. The smoothed score of a keyword is its mean evidence over the newest `smoothing_windows` windows.
    2. A window is a hit if the smoothed score has reached the threshold, and if the keyword shows in each of the newest
       `required_windows` windows. A keyword shows in a window if its evidence is at least `MIN_SHARE` of the threshold.
    3. A keyword is detected after `hits` hits in a row, if it is armed and the refractory period is over.
    4. A detection disarms its keyword. A smoothed score below `rearm` times the threshold arms the keyword again.

    A keyword that meets the other conditions in the refractory period is detected after this period, if the score is
    then still high enough.

    Parameters
    ----------
    labels : tuple of str
        Label of each score, in the order of the scores. The detector never detects reserved labels.
    settings : DetectorSettings
        Detector settings, with a threshold for each keyword among the labels.

    Attributes
    ----------
    blocked_until : int
        End of the refractory period. A window that ends before this sample of the stream cannot cause a detection.
    armed : ndarray, shape (keywords,), bool
    """

    def __init__(self, labels: tuple[str, ...], settings: DetectorSettings) -> None:
        self.keywords = [labels[index] for index in keyword_columns(labels)]
        self.settings = settings
        self.blocked_until = 0
        self.set_thresholds(settings.thresholds)
        self.reset()

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds, from the next window on. The counted hits and the armed keywords do not change."""
        self.thresholds: Float32 = np.array([thresholds[word] for word in self.keywords], np.float32)
        self.required = required_windows(self.thresholds, self.settings.smoothing_windows)
        self.least: Float32 = MIN_SHARE * self.thresholds
        self._rearm_below: Float32 = self.settings.rearm * self.thresholds

    def reset(self) -> None:
        """Set the counted hits to zero and arm all keywords, for example after a gap in the stream.

        A refractory period that has begun continues.
        """
        self._hits = np.zeros(len(self.keywords), np.intp)
        self.armed = np.ones(len(self.keywords), np.bool_)

    def judge(self, recent: Float32) -> Verdict:
        """Return the smoothed scores and hits of the newest windows, without changing the state of the detector.

        Parameters
        ----------
        recent : ndarray, shape (smoothing_windows, keywords), float32
            Evidence of the newest windows, oldest first.
        """
        smoothed: Float32 = recent.sum(axis=0) / np.float32(len(recent))
        shown = leading_true(recent[::-1] >= self.least)
        return Verdict(smoothed, (smoothed >= self.thresholds) & (shown >= self.required))

    def decide(self, verdict: Verdict, sample: int) -> Detection | None:
        """Advance by one window, which ends at the given sample of the stream.

        Return the detection, or None if this window does not complete a detection.
        """
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
        """Advance by one or more windows that cannot be hits for any keyword."""
        self._hits[:] = 0


def leading_true(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the number of true rows before the first false row in each column."""
    found: NDArray[np.intp] = np.count_nonzero(np.logical_and.accumulate(rows, axis=0), axis=0)
    return found
