"""The spotter: samples in, detections out. It is the whole pipeline, and the same one for every source."""

import numpy as np

from kwsd.frontend import BINS, FRAME_STEP, FRAMES, SAMPLE_RATE, WINDOW_SAMPLES, Float32, spectrogram
from kwsd.models.model import Model, Window
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.lazy import LazyDetector
from kwsd.pipeline.ring import Ring

FLUSH_SAMPLES = SAMPLE_RATE // 2
"""Silence after the end of a finite stream: the latest word has then been in enough windows to be decided."""


class Spotter:
    """Finds the keywords of a model in a stream.

    The stream begins as if silence had gone before it, so that the first window is there after one hop.

    Of the windows, only those are scored that a detection can depend on: see `kwsd.pipeline.detector.Detector.update`.

    Parameters
    ----------
    model : Model
    attentive : bool
        Whether each window is scored all the same, for somebody who looks at `scores` and `latest`.

    Attributes
    ----------
    attentive : bool
        May be changed at any time.
    windows : int
        Windows so far.
    sample : int
        Samples so far.
    """

    def __init__(self, model: Model, *, attentive: bool = False) -> None:
        self.attentive = attentive
        self._missing = self._unseen = 0
        self.sample = 0
        self.windows = 0
        self.use(model)

    @property
    def model(self) -> Model:
        """The model in use; its own settings are where the spotter started, not those in force."""
        return self._model

    def use(self, model: Model) -> None:
        """Go on with a model: the samples are counted on, the window begins anew."""
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
        """Smoothed score of each keyword in the latest window; while not attentive, of no use."""
        return dict(zip(self._detector.keywords, self._detector.smoothed.tolist(), strict=True))

    @property
    def thresholds(self) -> dict[str, float]:
        """Threshold of each keyword."""
        return self._settings.thresholds

    @property
    def latest(self) -> Float32:
        """Frames of the latest hop: shape (hop / 128, 129), float32; only while attentive.

        A view that the next `feed` changes.
        """
        return self._frames.newest[-self._hop_frames :]

    @property
    def memory_s(self) -> float:
        """Seconds of audio before now that a decision can depend on: those of all windows that are smoothed."""
        return len(self._samples.newest) / SAMPLE_RATE

    @property
    def calm_samples(self) -> int:
        """Samples to come that cannot bring a detection, whatever they are; 0 while every window is scored."""
        if self.attentive:
            return 0
        return self._missing + self._detector.calm_windows * self._hop - 1

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords, from the next window on; nothing is forgotten.

        Raises
        ------
        ModelError
            A word is no keyword of the model.
        """
        self._settings = self._model.settings_with(self._settings, thresholds)
        self._detector.set_thresholds(self._settings.thresholds)

    def feed(self, samples: Float32) -> list[Detection]:
        """Take the next samples; how a stream is cut into blocks makes no difference.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
            Any n. What lies outside is clipped; what is not a number is taken as silence.

        Raises
        ------
        ValueError
            The samples have another shape or type.
        """
        if samples.ndim != 1 or samples.dtype != np.float32:
            raise ValueError(f"samples are {samples.dtype} {samples.shape}, not float32 (n,)")
        if not np.abs(samples).max(initial=0) <= 1:  # also when one is not a number
            samples = np.nan_to_num(samples).clip(-1, 1)
        self._clear = False
        detections = []
        while len(samples):
            block = samples[: self._missing]
            samples = samples[self._missing :]
            self._samples.append(block)
            self.sample += len(block)
            self._missing -= len(block)
            if not self._missing:
                self._missing = self._hop
                detections += self._decide()
        return detections

    def flush(self) -> list[Detection]:
        """Decide on what is still in the window when the stream has ended."""
        return self.feed(np.zeros(FLUSH_SAMPLES, np.float32))

    def skip(self, samples: Float32) -> None:
        """Count the next samples without looking at them: the window begins anew after them, hops do not."""
        arrived = (self._hop - self._missing + len(samples)) % self._hop
        if not self._clear:
            self.reset()
        self._missing = self._hop - arrived
        self.sample += len(samples)

    def reset(self) -> None:
        """Forget the audio so far, as after a gap: what lies before and after it is never joined."""
        self._samples.clear()
        self._frames.clear()
        self._detector.reset()
        self._missing = self._hop
        self._unseen = 0
        self._clear = True

    def _decide(self) -> list[Detection]:
        self.windows += 1
        self._unseen += self._hop
        detection = self._detector.update(self._scores, self.sample, attentive=self.attentive)
        return [detection] if detection else []

    def _scores(self, age: int) -> Float32:
        """Scores of the window that ended `age` hops ago."""
        if self._unseen:
            # The frames that end in these samples begin up to one frame step before them.
            self._frames.append(spectrogram(self._samples.newest[-(self._unseen + FRAME_STEP) :]))
            self._unseen = 0
        samples, frames = self._samples.newest, self._frames.newest
        last_sample, last_frame = len(samples) - age * self._hop, len(frames) - age * self._hop_frames
        window = Window(samples[last_sample - WINDOW_SAMPLES : last_sample], frames[last_frame - FRAMES : last_frame])
        return self._model.scores(window)
