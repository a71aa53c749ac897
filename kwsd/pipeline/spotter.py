"""The spotter is the whole pipeline, and the same one for every source: samples in, detections out."""

import numpy as np

from kwsd.frontend import BINS, FRAME_STEP, FRAMES, SAMPLE_RATE, WINDOW_SAMPLES, Float32, clip_samples, spectrogram
from kwsd.models.model import Model, Window
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.lazy import LazyDetector
from kwsd.pipeline.ring import Ring

FLUSH_SAMPLES = SAMPLE_RATE // 2
"""Samples of silence that `Spotter.flush` adds, so that the last word is in enough windows for a detection."""


class Spotter:
    """Finds the keywords of a model in a stream of samples.

    The stream starts with silence in the window, so the first window is complete after one hop. The spotter scores a
    window only if a detection can depend on it; see `kwsd.pipeline.lazy.LazyDetector`.

    Parameters
    ----------
    model : Model
        The spotter starts with the detector settings of the model, and can then change its own thresholds.
    attentive : bool
        Whether to score every window, for a user of `scores` and `latest`. It may change at any time.

    Attributes
    ----------
    windows : int
        Windows so far.
    sample : int
        Samples so far.

    Examples
    --------
    Two words in a recording, with the default model:

    >>> import soundfile, kwsd
    >>> samples, rate = soundfile.read("speech.flac", dtype="float32")  # 16 kHz, mono
    >>> spotter = kwsd.Spotter(kwsd.load_model())
    >>> for detection in spotter.feed(samples) + spotter.flush():
    ...     print(detection.keyword, detection.time_s)
    go 2.16
    stop 4.16
    """

    def __init__(self, model: Model, *, attentive: bool = False) -> None:
        self.attentive = attentive
        self._samples_to_next_hop = self._samples_without_frames = 0
        self.sample = 0
        self.windows = 0
        self.use(model)

    @property
    def model(self) -> Model:
        """The model in use. Its settings are the defaults; `thresholds` has those in force."""
        return self._model

    def use(self, model: Model) -> None:
        """Continue with another model and its settings. The count of samples continues, but the window starts empty."""
        self._model = model
        self._settings = model.detector
        self._detector = LazyDetector(model.labels, model.detector)
        self._hop = model.hop_samples
        self._hop_frames = self._hop // FRAME_STEP
        older = model.detector.smoothing_windows - 1
        self._samples = Ring(WINDOW_SAMPLES + older * self._hop)
        self._frames = Ring(FRAMES + older * self._hop_frames, (BINS,))
        self.reset()

    @property
    def scores(self) -> dict[str, float]:
        """Smoothed score of each keyword in the latest window. Exact only while `attentive`."""
        return dict(zip(self._detector.keywords, self._detector.smoothed.tolist(), strict=True))

    @property
    def thresholds(self) -> dict[str, float]:
        """Threshold in force of each keyword."""
        return self._settings.thresholds

    @property
    def latest(self) -> Float32:
        """Spectrogram frames of the latest hop: shape (hop / 128, 129), float32. Valid only while `attentive`.

        This is a view, which the next `feed` changes.
        """
        return self._frames.newest[-self._hop_frames :]

    @property
    def memory_s(self) -> float:
        """Seconds of past audio that a decision can depend on: the audio of all windows in the moving average."""
        return len(self._samples.newest) / SAMPLE_RATE

    @property
    def calm_samples(self) -> int:
        """Number of future samples that cannot complete a detection. 0 while `attentive`."""
        if self.attentive:
            return 0
        return self._samples_to_next_hop + self._detector.calm_windows * self._hop - 1

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords, from the next window on. Past scores stay.

        Raises
        ------
        ModelError
            A word is not a keyword of the model.
        """
        self._settings = self._model.settings_with(self._settings, thresholds)
        self._detector.set_thresholds(self._settings.thresholds)

    def feed(self, samples: Float32) -> list[Detection]:
        """Process the next samples, and return the detections in them. Block sizes make no difference.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
            Any n. Values outside the range are clipped, and not-a-number becomes silence.

        Raises
        ------
        ValueError
            The samples have another shape or dtype.
        """
        samples = clip_samples(samples)
        self._window_is_empty = False
        detections = []
        while len(samples):
            block = samples[: self._samples_to_next_hop]
            samples = samples[self._samples_to_next_hop :]
            self._samples.append(block)
            self.sample += len(block)
            self._samples_to_next_hop -= len(block)
            if not self._samples_to_next_hop:
                self._samples_to_next_hop = self._hop
                detections += self._decide()
        return detections

    def flush(self) -> list[Detection]:
        """Process silence after the end of the stream, and return the last detections."""
        return self.feed(np.zeros(FLUSH_SAMPLES, np.float32))

    def skip(self, samples: Float32) -> None:
        """Count the next samples without processing them. The window after them starts empty; hops stay aligned."""
        arrived = (self._hop - self._samples_to_next_hop + len(samples)) % self._hop
        if not self._window_is_empty:
            self.reset()
        self._samples_to_next_hop = self._hop - arrived
        self.sample += len(samples)

    def reset(self) -> None:
        """Forget the audio so far, as after a gap, so that it is never joined to the audio that follows."""
        self._samples.clear()
        self._frames.clear()
        self._detector.reset()
        self._samples_to_next_hop = self._hop
        self._samples_without_frames = 0
        self._window_is_empty = True

    def _decide(self) -> list[Detection]:
        self.windows += 1
        self._samples_without_frames += self._hop
        detection = self._detector.update(self._scores, self.sample, attentive=self.attentive)
        return [detection] if detection else []

    def _scores(self, age: int) -> Float32:
        """Return the scores of the window that ended `age` hops ago."""
        if self._samples_without_frames:
            # A frame that ends in the new samples starts up to one frame step before them.
            self._frames.append(spectrogram(self._samples.newest[-(self._samples_without_frames + FRAME_STEP) :]))
            self._samples_without_frames = 0
        samples, frames = self._samples.newest, self._frames.newest
        last_sample, last_frame = len(samples) - age * self._hop, len(frames) - age * self._hop_frames
        window = Window(samples[last_sample - WINDOW_SAMPLES : last_sample], frames[last_frame - FRAMES : last_frame])
        return self._model.scores(window)
