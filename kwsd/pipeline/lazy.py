"""Finds out which windows need scores. The network is the main cost, and most windows cannot bring a detection."""

from collections import deque
from collections.abc import Callable

import numpy as np

from kwsd.frontend import Float32
from kwsd.models.bundle import DetectorSettings
from kwsd.pipeline.detector import Detection, Detector, Verdict, evidence, keyword_columns, leading_true

ROUNDING = np.finfo(np.float32).eps
"""Rounding tolerance per window: a mean depends slightly on the order of summation."""


class LazyDetector:
    """Decides like a `Detector`, but requests the scores of a window only if a detection can depend on them.

    No score is above 1. So the detector first judges the newest windows with a 1 for each unknown score. If the newest
    window is not a hit even then, the unknown scores do not matter. Otherwise windows are scored, the newest first,
    until the newest window is not a hit or all scores are known. While a keyword is disarmed, all windows are scored.

    The same argument rules out hits in some future windows. The detector passes them by without any work.

    Parameters
    ----------
    labels, settings
        As for `Detector`.

    Attributes
    ----------
    keywords : list of str
    calm_windows : int
        Number of future windows that cannot bring a detection, whatever their scores are. It is 0 while a keyword is
        disarmed.
    smoothed : ndarray, shape (keywords,), float32
        Smoothed scores of the latest judged window. If some scores are unknown, these are upper bounds.
    """

    def __init__(self, labels: tuple[str, ...], settings: DetectorSettings) -> None:
        self._detector = Detector(labels, settings)
        self._columns = keyword_columns(labels)
        self._windows = settings.smoothing_windows
        self.keywords = self._detector.keywords
        self.reset()

    @property
    def smoothed(self) -> Float32:
        """See the class."""
        return self._verdict.smoothed

    def reset(self) -> None:
        """Forget all scores, as after a gap in the stream. The refractory period still holds."""
        self._detector.reset()
        self._recent = np.zeros((self._windows, len(self.keywords)), np.float32)  # evidence, oldest window first
        self._unknown = deque([False] * self._windows, self._windows)  # the same windows: a 1 stands for the evidence
        self._passed = 0
        self._judge()
        self.calm_windows = self._count_calm_windows()

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Decide by other thresholds from the next window on; nothing is forgotten."""
        self._detector.set_thresholds(thresholds)
        self.calm_windows = 0

    def update(self, scores: Callable[[int], Float32], sample: int, *, attentive: bool = False) -> Detection | None:
        """Advance by one window.

        Parameters
        ----------
        scores : callable
            Returns the scores of a window, by its age in windows: probabilities, shape (labels,), float32. The new
            window has age 0. The age is less than `smoothing_windows`. Each window is requested at most once.
        sample : int
            End of the window, in samples from the start of the stream; grows from call to call.
        attentive : bool
            Whether every window is scored, so that `smoothed` is exact.
        """
        if self.calm_windows and not attentive:
            self.calm_windows -= 1
            self._passed += 1
            return None
        self._append_unknown()
        all_needed = attentive or not self._detector.armed.all()
        while True in self._unknown and (all_needed or self._verdict.hit.any()):
            row = max(row for row, unknown in enumerate(self._unknown) if unknown)
            self._recent[row] = evidence(scores(self._windows - 1 - row), self._columns)
            self._unknown[row] = False
            self._judge()
        detection = self._detector.decide(self._verdict, sample)
        self.calm_windows = self._count_calm_windows()
        return detection

    def _append_unknown(self) -> None:
        """Append unknown scores for the new window and for the windows that were passed by."""
        if self._passed:
            self._detector.pass_by()
        kept = self._windows - 1 - self._passed
        self._recent[:kept] = self._recent[1 + self._passed :]
        self._recent[kept:] = 1
        self._unknown.extend([True] * (1 + self._passed))
        self._passed = 0
        self._judge()

    def _judge(self) -> None:
        self._verdict: Verdict = self._detector.judge(self._recent)

    def _count_calm_windows(self) -> int:
        """Return how many windows to come are not hits, even with a 1 for each unknown score."""
        if not self._detector.armed.all():
            return 0
        count, newest_first = self._windows, self._recent[:0:-1]
        # Each window to come replaces the oldest evidence by a 1. The last row is about the next window.
        highest = np.cumsum(newest_first, axis=0) + np.arange(count - 1, 0, -1, dtype=np.float32)[:, np.newaxis]
        needed = count * (self._detector.thresholds - count * ROUNDING)
        too_low = count - 1 - np.count_nonzero(highest >= needed, axis=0)
        unshown = self._detector.required - 1 - leading_true(newest_first >= self._detector.least)
        return int(np.maximum(too_low, unshown).min(initial=count - 1))
