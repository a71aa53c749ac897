"""Determines which windows need scores.

Most of the computing time is spent in the network, and most windows cannot cause a detection.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from kwsd.frontend import Float32
from kwsd.models.bundle import DetectorSettings
from kwsd.pipeline.detector import Detection, Detector, Verdict, evidence, keyword_columns, leading_true

ROUNDING = np.finfo(np.float32).eps
"""Tolerance for rounding errors per window, because a mean depends slightly on the order of summation."""


class LazyDetector:
    """Decides like a `Detector`, but requests the scores of a window only if a detection can depend on these scores.

    A score is at most 1. The detector first assumes that each unknown score of the newest windows is 1. If the newest
    window is not a hit with this assumption, the unknown scores cannot change the decision. If the newest window could
    be a hit, the detector requests unknown scores, newest first, until the decision is certain. While at least one
    keyword is disarmed, all windows are scored.

    With the assumption that unknown scores are 1, the detector can also exclude hits in some future windows. The
    detector does no work for future windows that cannot be hits.

    Parameters
    ----------
    labels, settings
        Labels and settings of the `Detector` that this class uses.

    Attributes
    ----------
    keywords : list of str
    calm_windows : int
        Number of future windows that cannot cause a detection, for any values of their scores. The number is 0 while a
        keyword is disarmed.
    smoothed : ndarray, shape (keywords,), float32
        Smoothed scores after the latest window that was evaluated. If some scores are unknown, the smoothed scores are
        upper bounds.
    """

    def __init__(self, labels: tuple[str, ...], settings: DetectorSettings) -> None:
        self._detector = Detector(labels, settings)
        self._columns = keyword_columns(labels)
        self._windows = settings.smoothing_windows
        self.keywords = self._detector.keywords
        self.reset()

    @property
    def smoothed(self) -> Float32:
        """Smoothed scores after the latest window that was evaluated."""
        return self._verdict.smoothed

    def reset(self) -> None:
        """Discard all scores, for example after a gap in the stream. A refractory period that has begun continues."""
        self._detector.reset()
        self._recent = np.zeros((self._windows, len(self.keywords)), np.float32)  # evidence, oldest window first
        self._unknown = deque([False] * self._windows, self._windows)  # the same windows: a 1 stands for the evidence
        self._passed = 0
        self._judge()
        self.calm_windows = self._count_calm_windows()

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds from the next window on. The stored scores and hits stay."""
        self._detector.set_thresholds(thresholds)
        self.calm_windows = 0

    def update(self, scores: Callable[[int], Float32], sample: int, *, attentive: bool = False) -> Detection | None:
        """Advance by one window, and return the detection or None.

        Parameters
        ----------
        scores : callable
            Function that takes the age of a window, in windows, and returns the scores: probabilities, shape (labels,),
            float32. The newest window has age 0. The requested age is always less than `smoothing_windows`. The scores
            of each window are requested at most once.
        sample : int
            End of the window, in samples from the start of the stream. The end of the window must increase with each
            call.
        attentive : bool
            Whether to score every window, so that `smoothed` is exact.
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
        """Append unknown scores for the new window and for the windows that the detector has skipped."""
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
        """Return the number of future windows that are not hits, even if each unknown score is 1."""
        if not self._detector.armed.all():
            return 0
        count, newest_first = self._windows, self._recent[:0:-1]
        # Each window to come replaces the oldest evidence by a 1. The last row is about the next window.
        highest = np.cumsum(newest_first, axis=0) + np.arange(count - 1, 0, -1, dtype=np.float32)[:, np.newaxis]
        needed = count * (self._detector.thresholds - count * ROUNDING)
        too_low = count - 1 - np.count_nonzero(highest >= needed, axis=0)
        unshown = self._detector.required - 1 - leading_true(newest_first >= self._detector.least)
        return int(np.maximum(too_low, unshown).min(initial=count - 1))
