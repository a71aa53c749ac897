"""The detector: scores of one window after another in, at most one detection an utterance out.

Posterior smoothing follows Chen, Parada and Heigold, "Small-footprint keyword spotting using deep neural networks"
(ICASSP 2014, section 2.4): a moving average of the scores. TensorFlow's ``RecognizeCommands`` suppresses a word until a
different label has fired and so cannot hear one word twice; here each keyword is armed again when its own smoothed
score has fallen.
"""

from dataclasses import dataclass

import numpy as np

from kwsd.bundle import RESERVED_LABELS, DetectorSettings
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.ring import Ring

ROUNDING = 1e-3
"""More than the rounding errors of a mean of float32 scores."""


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


class Detector:
    """Debounces scores.

    A keyword is detected when its smoothed score has reached its threshold in `hits` windows in a row, while it is
    armed and no detection of any keyword is younger than the refractory period. It is then disarmed until its smoothed
    score falls below `rearm` times its threshold. A keyword that is due within the refractory period is detected at
    the end of it, if its score lasts.

    Parameters
    ----------
    labels : sequence of str
        Meaning of the scores, in order; reserved labels are never detected.
    settings : DetectorSettings
        A threshold for each keyword among the labels.

    Attributes
    ----------
    keywords : list of str
    smoothed : ndarray, shape (keywords,), float32
        Smoothed scores of the latest window.
    """

    def __init__(self, labels: tuple[str, ...], settings: DetectorSettings) -> None:
        self._keywords = [(index, label) for index, label in enumerate(labels) if label not in RESERVED_LABELS]
        self.keywords = [label for _, label in self._keywords]
        self._columns = np.array([index for index, _ in self._keywords], np.intp)
        self._settings = settings
        self._zeros = np.zeros((settings.smoothing_windows, len(self._keywords)), np.float32)
        self.set_thresholds(settings.thresholds)
        self._refractory_samples = round(settings.refractory_s * SAMPLE_RATE)
        self._recent = Ring(settings.smoothing_windows, (len(self._keywords),))
        self._blocked_until = 0
        self.reset()

    def reset(self) -> None:
        """Forget the past, as after a gap in the stream; the refractory period still holds."""
        self._recent.clear()
        self._hits = np.zeros(len(self._keywords), np.intp)
        self._armed = np.ones(len(self._keywords), np.bool_)
        self.smoothed: Float32 = np.zeros(len(self._keywords), np.float32)

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Decide by other thresholds from the next window on; nothing is forgotten."""
        self._thresholds = np.array([thresholds[label] for label in self.keywords], np.float32)
        self._rearm_below = self._settings.rearm * self._thresholds
        windows = self._settings.smoothing_windows
        self._needed = windows * self._thresholds - (windows - 1) - ROUNDING

    @property
    def patience(self) -> int:
        """Windows that may go by before the next one must be scored, without any change of what is detected.

        No score is above 1. So when the mean of n scores reaches a threshold T, each of them is at least n T - (n - 1):
        a detection ends a run of at least n windows that all have. A window that has not, lies in no such run, and the
        next n - 1 are too few for one: only when the window after them has reached it, do they matter. A keyword that
        waits to be armed needs every window.
        """
        idle = self._armed.all() and self._needed.min() > 0 and not self._reached(self._recent.newest[-1])
        return self._settings.smoothing_windows - 1 if idle else 0

    def matters(self, scores: Float32) -> bool:
        """Whether a detection can end in this window, or in one of the n - 1 after it, given its scores (labels,)."""
        return self._reached(scores[self._columns])

    def skip(self, windows: int) -> None:
        """Go past windows whose scores cannot matter."""
        self._recent.append(self._zeros[:windows])
        self._hits[:] = 0

    def _reached(self, scores: Float32) -> bool:
        return bool((scores >= self._needed).any())

    def update(self, scores: Float32, sample: int) -> Detection | None:
        """Take the scores of the next window.

        Parameters
        ----------
        scores : ndarray, shape (labels,), float32
            Probabilities.
        sample : int
            End of the window, in samples from the start of the stream; grows from call to call.
        """
        self._recent.append(scores[np.newaxis, self._columns])
        smoothed = self.smoothed = self._recent.newest.sum(axis=0) / self._settings.smoothing_windows
        self._hits = (self._hits + 1) * (smoothed >= self._thresholds)
        self._armed |= smoothed < self._rearm_below
        due = self._armed & (self._hits >= self._settings.hits)
        if sample < self._blocked_until or not due.any():
            return None
        best = int(np.argmax(np.where(due, smoothed, -1)))
        self._armed[best] = False
        self._blocked_until = sample + self._refractory_samples
        return Detection(self.keywords[best], float(smoothed[best]), sample)
