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

from kwsd.bundle import RESERVED_LABELS, DetectorSettings
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32

Scores = Callable[[int], Float32]

LEAST = np.float32(0.2)
"""Share of its threshold that a keyword's score must reach in each of the newest windows: a word that was spoken shows
in all of them. It hardly ever decides (docs/performance.md), but lets one window say for most of those after it that
nothing was there."""

ROUNDING = np.float32(1e-6)
"""By so much may a mean differ that is summed in another order."""


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


class Detector:
    """Debounces scores.

    A keyword's score in a window is the `evidence` for it. A window is a hit when the smoothed score has reached the
    keyword's threshold and, of the windows that are smoothed, none but the oldest scored less than `LEAST` times the
    threshold. The keyword is detected after `hits` hits in a row, while it is armed and no detection of any keyword is
    younger than the refractory period. It is then disarmed until its smoothed score falls below `rearm` times its
    threshold. A keyword that is due within the refractory period is detected at the end of it, if its score lasts.

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
        Windows to come that are sure to bring no detection: not even with a 1 for each of their scores.
    smoothed : ndarray, shape (keywords,), float32
        Smoothed scores of the latest window that was not calm; where not all of them had to be known, upper bounds.
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
        self.smoothed: Float32 = np.zeros(keywords, np.float32)
        self.calm_windows = self._count_calm()

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Decide by other thresholds from the next window on; nothing is forgotten."""
        self._thresholds = np.array([thresholds[label] for label in self.keywords], np.float32)
        self._rearm_below = self._settings.rearm * self._thresholds
        self._least = LEAST * self._thresholds
        self.calm_windows = 0

    def update(self, scores: Scores, sample: int, *, attentive: bool = False) -> Detection | None:
        """Go on by one window.

        A window is scored only when something depends on it. No score is above 1, so a window that is no hit for any
        keyword with a 1 for every score that is not known is none, whatever those scores are. Otherwise windows are
        scored, the newest first, until that holds or all are known. A keyword that waits to be armed needs all.

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
        while True in self._unknown and (wanted or self._possible.any()):
            row = max(row for row, unknown in enumerate(self._unknown) if unknown)
            self._recent[row] = evidence(scores(len(self._recent) - 1 - row), self._columns)
            self._unknown[row] = False
            self._smooth()
        detection = self._decide(sample)
        self.calm_windows = self._count_calm()
        return detection

    def _catch_up(self) -> None:
        """Make room for this window and the calm ones that have passed."""
        if self._passed:
            self._hits[:] = 0
        count = len(self._recent)
        kept = max(0, count - 1 - self._passed)
        self._recent[:kept] = self._recent[count - kept :]
        self._recent[kept:] = 1
        self._unknown.extend([True] * (count - kept))
        self._passed = 0
        self._smooth()

    def _smooth(self) -> None:
        self.smoothed = self._recent.sum(axis=0) / np.float32(len(self._recent))
        lowest = self._recent[1:].min(axis=0, initial=1)
        self._possible = (self.smoothed >= self._thresholds) & (lowest >= self._least)

    def _count_calm(self) -> int:
        """How many windows are calm; none while one that comes may arm a keyword."""
        count = len(self._recent)
        if not self._armed.all() or count == 1:
            return 0
        newest_first = self._recent[:0:-1]
        # Row i is about the window after count - 1 - i more, of which the newest i + 1 that are there now are smoothed.
        highest = np.cumsum(newest_first, axis=0) + np.arange(count - 1, 0, -1, dtype=np.float32)[:, np.newaxis]
        lowest = np.minimum.accumulate(newest_first[:-1], axis=0)
        possible: NDArray[np.bool_] = highest >= count * (self._thresholds - ROUNDING)
        possible[1:] &= lowest >= self._least
        within_reach: NDArray[np.bool_] = np.any(possible, axis=1)
        return int(within_reach[::-1].argmax()) if within_reach.any() else count - 1

    def _decide(self, sample: int) -> Detection | None:
        self._hits = (self._hits + 1) * self._possible
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
