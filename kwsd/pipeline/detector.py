"""The detector: scores of one window after another in, at most one detection an utterance out.

Posterior smoothing follows Chen, Parada and Heigold, "Small-footprint keyword spotting using deep neural networks"
(ICASSP 2014, section 2.4): a moving average of the scores. TensorFlow's ``RecognizeCommands`` suppresses a word until a
different label has fired and so cannot hear one word twice; here each keyword is armed again when its own smoothed
score has fallen.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.models.bundle import RESERVED_LABELS, DetectorSettings

Scores = Callable[[int], Float32]

LEAST_SHARE = np.float32(0.2)
"""Share of its threshold that a keyword's score must reach in each of the newest windows: a word that was spoken shows
in all of them. At the thresholds that models ship with it hardly ever decides (docs/performance.md), but it lets one
window say for most of those after it that nothing was there."""

ROUNDING = np.finfo(np.float32).eps
"""By so much, for each window, may a mean differ that is summed in another order."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A keyword that was just spoken.

    Parameters
    ----------
    keyword : str
    score : float
        Smoothed score at the decision, in (0, 1].
    sample : int
        Samples of the stream that had arrived when the decision was made: the end of the window.
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
        """First sample of the window that decided, and the one after its last; the first is negative early on."""
        return self.sample - WINDOW_SAMPLES, self.sample


def evidence(scores: Float32, columns: NDArray[np.intp]) -> Float32:
    """For each keyword, what a window says for it: geometric mean of its probability and the sum over all.

    Where a network is torn between two keywords, as noise makes it between "go" and "no", neither is as probable as it
    is that one of them was spoken. For a keyword without a rival the two are the same. A model that knows nothing but
    keywords is sure in each window that one was spoken: there, what counts is the probability alone.

    Parameters
    ----------
    scores : ndarray, shape (..., labels), float32
        Probabilities.
    columns : ndarray, shape (keywords,)
        Places of the keywords among the labels.

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


def least_windows(thresholds: Float32, smoothing_windows: int) -> NDArray[np.intp]:
    """In how many of the windows that are smoothed each keyword must be there, for its mean to reach a threshold.

    Parameters
    ----------
    thresholds : ndarray, shape (keywords,), float32
    smoothing_windows : int

    Returns
    -------
    ndarray, shape (keywords,)
        From 1 to `smoothing_windows`.
    """
    return np.ceil(smoothing_windows * thresholds).astype(np.intp)


class Detector:
    """Debounces scores.

    A keyword's score in a window is the `evidence` for it. A window is a hit for a keyword when the smoothed score, the
    mean over the newest `smoothing_windows` windows, has reached its threshold, and each of the newest `least_windows`
    of them scored `LEAST_SHARE` of the threshold or more. The keyword is detected after `hits` hits in a row, while it
    is armed and no detection of any keyword is younger than the refractory period. It is then disarmed until its
    smoothed score falls below `rearm` times its threshold. A keyword that is due within the refractory period is
    detected at the end of it, if its score lasts.

    Parameters
    ----------
    labels : sequence of str
        Meaning of the scores, in order; reserved labels are never detected.
    settings : DetectorSettings
        A threshold for each keyword among the labels.

    Attributes
    ----------
    keywords : list of str
    blocked_until : int
        No window that ends before this sample brings a detection.
    calm_windows : int
        Windows to come that are sure to bring no detection, not even with a 1 for each of their scores: `update` passes
        them by. 0 while a keyword waits to be armed, and when thresholds were just set.
    smoothed : ndarray, shape (keywords,), float32
        Smoothed scores of the latest window that was not passed by; where not all scores had to be known, upper bounds.
    """

    def __init__(self, labels: tuple[str, ...], settings: DetectorSettings) -> None:
        self._keywords = [(index, label) for index, label in enumerate(labels) if label not in RESERVED_LABELS]
        self.keywords = [label for _, label in self._keywords]
        self._columns = np.array([index for index, _ in self._keywords], np.intp)
        self._settings = settings
        self.set_thresholds(settings.thresholds)
        self._refractory_samples = round(settings.refractory_s * SAMPLE_RATE)
        self.blocked_until = 0
        self.reset()

    def reset(self) -> None:
        """Forget the past, as after a gap in the stream; the refractory period still holds."""
        windows, keywords = self._settings.smoothing_windows, len(self._keywords)
        self._recent = np.zeros((windows, keywords), np.float32)  # oldest first
        self._unknown = deque([False] * windows, windows)
        self._passed = 0
        self._hits = np.zeros(keywords, np.intp)
        self._armed = np.ones(keywords, np.bool_)
        self._look()
        self.calm_windows = self._count_calm()

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Decide by other thresholds from the next window on; nothing is forgotten."""
        self._thresholds = np.array([thresholds[label] for label in self.keywords], np.float32)
        self._rearm_below = self._settings.rearm * self._thresholds
        self._least = LEAST_SHARE * self._thresholds
        self._needed = least_windows(self._thresholds, self._settings.smoothing_windows)
        self.calm_windows = 0

    def update(self, scores: Scores, sample: int, *, attentive: bool = False) -> Detection | None:
        """Go on by one window.

        A window is scored only when something depends on it. No score is above 1, so a window that is no hit for any
        keyword with a 1 for every score that is not known is none, whatever those scores are. Otherwise windows are
        scored, the newest first, until that holds or all are known. A keyword that waits to be armed needs all. Windows
        of which it was known before that they are no hits are passed by.

        Parameters
        ----------
        scores : callable
            From the age of a window, 0 for this one and less than `smoothing_windows`, to its scores: probabilities,
            shape (labels,), float32. Called at most once for each window.
        sample : int
            End of the window, in samples from the start of the stream; grows from call to call.
        attentive : bool
            Whether every window is scored, so that `smoothed` is no upper bound but the mean itself.
        """
        if self.calm_windows and not attentive:
            self.calm_windows -= 1
            self._passed += 1
            return None
        self._catch_up()
        wanted = attentive or not self._armed.all()
        while True in self._unknown and (wanted or self._may_hit.any()):
            row = max(row for row, unknown in enumerate(self._unknown) if unknown)
            self._recent[row] = evidence(scores(len(self._recent) - 1 - row), self._columns)
            self._unknown[row] = False
            self._look()
        detection = self._decide(sample)
        self.calm_windows = self._count_calm()
        return detection

    def _catch_up(self) -> None:
        """Make room for this window and the calm ones that have passed."""
        if self._passed:
            self._hits[:] = 0
        kept = len(self._recent) - 1 - self._passed
        self._recent[:kept] = self._recent[1 + self._passed :]
        self._recent[kept:] = 1
        self._unknown.extend([True] * (1 + self._passed))
        self._passed = 0
        self._look()

    def _look(self) -> None:
        """What this window would be if every score that is not known were a 1."""
        self.smoothed: Float32 = self._recent.sum(axis=0) / np.float32(len(self._recent))
        shown = self._recent[::-1] >= self._least
        self._may_hit = (self.smoothed >= self._thresholds) & (_first_false(shown) >= self._needed)

    def _count_calm(self) -> int:
        """How many windows to come are no hits, with a 1 for each score that is not known."""
        if not self._armed.all():
            return 0
        count, newest_first = len(self._recent), self._recent[:0:-1]
        # Each window that comes puts a 1 in the place of the oldest score; the last row is about the next one.
        highest = np.cumsum(newest_first, axis=0) + np.arange(count - 1, 0, -1, dtype=np.float32)[:, np.newaxis]
        too_low = count - 1 - np.count_nonzero(highest >= count * (self._thresholds - count * ROUNDING), axis=0)
        unshown = self._needed - 1 - _first_false(newest_first >= self._least)
        return int(np.maximum(too_low, unshown).min(initial=count - 1))

    def _decide(self, sample: int) -> Detection | None:
        self._hits = (self._hits + 1) * self._may_hit  # all scores are known where it may
        self._armed |= self.smoothed < self._rearm_below
        if sample < self.blocked_until or not self._hits.any():
            return None
        due = self._armed & (self._hits >= self._settings.hits)
        if not due.any():
            return None
        best = int(np.argmax(np.where(due, self.smoothed, -1)))
        self._armed[best] = False
        self.blocked_until = sample + self._refractory_samples
        return Detection(self.keywords[best], float(self.smoothed[best]), sample)


def _first_false(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
    """In each column, how many rows are true before the first that is not."""
    found: NDArray[np.intp] = np.count_nonzero(np.logical_and.accumulate(rows, axis=0), axis=0)
    return found
