"""Stores a model's scores of whole recordings, to try many detector settings without running the model again."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.models.bundle import DetectorSettings
from kwsd.models.model import Model, Network, Window
from kwsd.pipeline.detector import MIN_SHARE, Detection, evidence, keyword_columns, required_windows
from kwsd.pipeline.spotter import Spotter


class RecordingNetwork:
    """A network that passes each window to another network and stores the returned scores.

    Attributes
    ----------
    kept : list of ndarray, shape (labels,), float32
        Scores of all windows so far, in the order of the windows.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.kept: list[Float32] = []

    def scores(self, window: Window) -> Float32:
        """Return the scores of the other network."""
        self.kept.append(self._network.scores(window))
        return self.kept[-1]


@dataclass(frozen=True)
class RecordingScores:
    """The scores of several recordings, which follow each other on one time line.

    Parameters
    ----------
    labels : tuple of str
        Labels of the columns of `scores`.
    scores : ndarray, shape (windows, labels), float32
        Probability of each label in each window.
    ends : ndarray, shape (windows,), int64
        End of each window, in samples from the start of the first recording.
    starts : ndarray, shape (recordings,), int64
        Start of each recording, in samples from the start of the first recording.
    seconds : float
        Total length of the recordings. The length excludes the silence that is added after each recording to detect its
        last word.
    """

    labels: tuple[str, ...]
    scores: Float32
    ends: NDArray[np.int64]
    starts: NDArray[np.int64]
    seconds: float

    @property
    def hours(self) -> float:
        """Total length of the recordings in hours."""
        return self.seconds / 3600

    def locate(self, sample: int) -> tuple[int, int]:
        """Return the recording index and the position in this recording of a window that ends at `sample`."""
        recording = int(np.searchsorted(self.starts, sample)) - 1
        return recording, sample - int(self.starts[recording])


class Scorer:
    """Runs the daemon's pipeline over recordings, block by block, and stores the scores.

    Attributes
    ----------
    seconds : float
        Total length of the audio that has been scored so far.
    """

    def __init__(self, model: Model) -> None:
        self._network = RecordingNetwork(model.network)
        self._model = replace(model, network=self._network)
        self._spotter = Spotter(self._model, attentive=True)
        self._ends: list[NDArray[np.int64]] = []
        self._starts: list[int] = []
        self._start = 0
        self.seconds = 0.0

    def feed(self, samples: Float32) -> list[Detection]:
        """Score the next samples of a recording, and return the detections with the model's own settings.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
            Any number of samples.
        """
        self.seconds += len(samples) / SAMPLE_RATE
        return self._spotter.feed(samples)

    def end(self) -> None:
        """Complete the detection of the last word in a recording. The next recording starts with an empty window."""
        self._spotter.flush()
        self._starts.append(self._start)
        self._ends.append(self._start + self._model.hop_samples * np.arange(1, self._spotter.windows + 1))
        self._start += self._model.hop_samples * self._spotter.windows
        self._spotter = Spotter(self._model, attentive=True)

    def scored(self) -> RecordingScores:
        """Return the scores of all recordings that have ended. At least one recording must have ended."""
        scores, ends = np.stack(self._network.kept), np.concatenate(self._ends)
        return RecordingScores(self._model.labels, scores, ends, np.array(self._starts), self.seconds)


def score_recordings(model: Model, recordings: Iterable[Float32]) -> RecordingScores:
    """Run the daemon's pipeline over whole recordings, and return the scores of all windows.

    Parameters
    ----------
    model : Model
        Model that scores the recordings. The detector settings of the model do not influence the scores.
    recordings : iterable of ndarray, shape (any,), float32 in [-1, 1], 16 kHz mono
        At least one.
    """
    scorer = Scorer(model)
    for samples in recordings:
        scorer.feed(samples)
        scorer.end()
    return scorer.scored()


def replay_detector(
    scored: RecordingScores, settings: DetectorSettings, min_share: np.float32 = MIN_SHARE
) -> list[Detection]:
    """Return the detections that a new `kwsd.pipeline.detector.Detector` for each recording finds in stored scores.

    This function is some dozens of times faster than the class `Detector`. The function computes smoothing, hits and
    re-arming for all windows at once. Afterwards, only the windows in which a detection is possible are processed one
    after the other.

    Parameters
    ----------
    min_share : float
        As `kwsd.pipeline.detector.MIN_SHARE`.
    """
    columns = keyword_columns(scored.labels)
    keywords = [scored.labels[index] for index in columns]
    thresholds = np.array([settings.thresholds[word] for word in keywords], np.float32)
    firsts = np.searchsorted(scored.ends, scored.starts, "right")
    scores = evidence(scored.scores, columns)
    smoothed = _moving_mean(scores, settings.smoothing_windows, firsts)
    hit, shown = smoothed >= thresholds, scores >= min_share * thresholds
    needed = required_windows(thresholds, settings.smoothing_windows)
    for windows in set(needed.tolist()):
        hit[:, needed == windows] &= _runs(shown[:, needed == windows], windows, firsts)
    due = _runs(hit, settings.hits, firsts)
    low_so_far = np.cumsum(smoothed < settings.rearm * thresholds, axis=0)
    rows = np.flatnonzero(due.any(1))
    recording = -1
    detections = []
    for row, its_recording in zip(rows, np.searchsorted(firsts, rows, "right"), strict=True):
        if its_recording != recording:
            recording, blocked_until = its_recording, 0
            disarmed = np.full(len(keywords), -1)  # for each keyword: its value of low_so_far at its last detection
        sample = int(scored.ends[row])
        ready = due[row] & (low_so_far[row] > disarmed)
        if sample >= blocked_until and ready.any():
            best = int(np.argmax(np.where(ready, smoothed[row], -1)))
            disarmed[best] = low_so_far[row, best]
            blocked_until = sample + round(settings.refractory_s * SAMPLE_RATE)
            detections.append(Detection(keywords[best], float(smoothed[row, best]), sample))
    return detections


def _moving_mean(scores: Float32, windows: int, firsts: NDArray[np.intp]) -> Float32:
    """Return the mean of each row and the `windows` - 1 rows before it.

    Rows before the start of a recording count as zeros.
    """
    before = windows - 1
    padded = np.insert(scores, np.repeat(firsts, before), 0, axis=0)
    total = padded[: len(padded) - before].copy()
    for first in range(1, windows):  # in the detector's order, because the order changes the rounding
        total += padded[first : first + len(total)]
    total /= np.float32(windows)
    # The padding adds rows before each recording: leave them out.
    lengths = np.diff(firsts, append=len(scores))
    rows = np.arange(len(scores)) + before * np.repeat(np.arange(len(firsts)), lengths)
    mean: Float32 = total[rows]
    return mean


def _runs(hit: NDArray[np.bool_], length: int, firsts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return, in the shape of `hit`, whether each row is the last of `length` consecutive hits in its recording."""
    due = hit.copy()
    for earlier in range(1, length):
        due[earlier:] &= hit[:-earlier]
        starting = firsts + earlier - 1
        due[starting[starting < len(due)]] = False
    return due
