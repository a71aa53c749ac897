"""A model's scores of whole recordings, kept, so that any detector settings can be tried on them in no time."""

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
    """A network that keeps every answer of another network.

    Attributes
    ----------
    answers : list of ndarray, shape (labels,), float32
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.answers: list[Float32] = []

    def scores(self, window: Window) -> Float32:
        """Return the scores of the other network."""
        self.answers.append(self._network.scores(window))
        return self.answers[-1]


@dataclass(frozen=True)
class Scored:
    """The scores of recordings that follow one another on one time line.

    Parameters
    ----------
    labels : tuple of str
    scores : ndarray, shape (windows, labels), float32
    ends : ndarray, shape (windows,), int64
        End of each window, in samples from the start of the first recording.
    starts : ndarray, shape (recordings,), int64
        Start of each recording, in samples likewise.
    seconds : float
        Length of the recordings, without the silence after each in which its latest word is decided.
    """

    labels: tuple[str, ...]
    scores: Float32
    ends: NDArray[np.int64]
    starts: NDArray[np.int64]
    seconds: float

    @property
    def hours(self) -> float:
        """Length of the recordings."""
        return self.seconds / 3600

    def locate(self, sample: int) -> tuple[int, int]:
        """Recording that a window's end on the time line lies in, and its place in that recording."""
        recording = int(np.searchsorted(self.starts, sample)) - 1
        return recording, sample - int(self.starts[recording])


class Scorer:
    """Runs the daemon's pipeline over recordings as they come, and keeps the scores.

    Parameters
    ----------
    model : Model

    Attributes
    ----------
    seconds : float
        Length of the recordings so far.
    """

    def __init__(self, model: Model) -> None:
        self._recorder = RecordingNetwork(model.network)
        self._model = replace(model, network=self._recorder)
        self._spotter = Spotter(self._model, attentive=True)
        self._ends: list[NDArray[np.int64]] = []
        self._starts: list[int] = []
        self._start = 0
        self.seconds = 0.0

    def feed(self, samples: Float32) -> list[Detection]:
        """Take the next samples of a recording; gives what the model's own settings detect in them.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
        """
        self.seconds += len(samples) / SAMPLE_RATE
        return self._spotter.feed(samples)

    def end(self) -> None:
        """The recording has ended: its latest word is decided, and the next begins anew."""
        self._spotter.flush()
        self._starts.append(self._start)
        self._ends.append(self._start + self._model.hop_samples * np.arange(1, self._spotter.windows + 1))
        self._start += self._model.hop_samples * self._spotter.windows
        self._spotter = Spotter(self._model, attentive=True)

    def scored(self) -> Scored:
        """The scores of all recordings that have ended, of which there is at least one."""
        scores, ends = np.stack(self._recorder.answers), np.concatenate(self._ends)
        return Scored(self._model.labels, scores, ends, np.array(self._starts), self.seconds)


def score(model: Model, recordings: Iterable[Float32]) -> Scored:
    """Run the daemon's pipeline over whole recordings, and keep the scores.

    Parameters
    ----------
    model : Model
    recordings : iterable of ndarray, shape (any,), float32 in [-1, 1], 16 kHz mono
    """
    scorer = Scorer(model)
    for samples in recordings:
        scorer.feed(samples)
        scorer.end()
    return scorer.scored()


def replay(scored: Scored, settings: DetectorSettings, min_share: np.float32 = MIN_SHARE) -> list[Detection]:
    """What a new `kwsd.pipeline.detector.Detector` for each recording makes of the scores, a thousand times faster.

    Smoothing, hits and re-arming are computed for all windows at once; only the windows in which a keyword is due are
    then gone through in order.
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
            disarmed = np.full(len(keywords), -1)  # by keyword: how often it was low when it was last detected
        sample = int(scored.ends[row])
        ready = due[row] & (low_so_far[row] > disarmed)
        if sample >= blocked_until and ready.any():
            best = int(np.argmax(np.where(ready, smoothed[row], -1)))
            disarmed[best] = low_so_far[row, best]
            blocked_until = sample + round(settings.refractory_s * SAMPLE_RATE)
            detections.append(Detection(keywords[best], float(smoothed[row, best]), sample))
    return detections


def _moving_mean(scores: Float32, windows: int, firsts: NDArray[np.intp]) -> Float32:
    """Mean of each row and the `windows` - 1 before it, as if zeros had gone before each recording's first row."""
    before = windows - 1
    padded = np.insert(scores, np.repeat(firsts, before), 0, axis=0)
    total = padded[: len(padded) - before].copy()
    for first in range(1, windows):  # in the detector's order, for the same rounding
        total += padded[first : first + len(total)]
    total /= np.float32(windows)
    # A recording's first means are those of windows that begin in the recording before it, and are no row's.
    lengths = np.diff(firsts, append=len(scores))
    rows = np.arange(len(scores)) + before * np.repeat(np.arange(len(firsts)), lengths)
    mean: Float32 = total[rows]
    return mean


def _runs(hit: NDArray[np.bool_], length: int, firsts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether each row ends a run of `length` hits in its recording."""
    due = hit.copy()
    for earlier in range(1, length):
        due[earlier:] &= hit[:-earlier]
        starting = firsts + earlier - 1
        due[starting[starting < len(due)]] = False
    return due
