"""The spotter is the complete pipeline: it receives samples from any audio source, and returns keyword detections."""

import numpy as np

from kwsd.frontend import BINS, FRAME_STEP, FRAMES, SAMPLE_RATE, WINDOW_SAMPLES, Float32, clip_samples, spectrogram
from kwsd.models.model import Model, Window
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.lazy import LazyDetector
from kwsd.pipeline.ring import Ring

FLUSH_SAMPLES = SAMPLE_RATE // 2
"""Number of samples of silence that `Spotter.flush` adds, so that enough windows contain the last word."""


class Spotter:
    """Finds the keywords of a model in a stream of samples.

    At the start of the stream, the window contains silence, so the first window is complete after one hop. The spotter
    scores a window only if a detection can depend on it; see `kwsd.pipeline.lazy.LazyDetector`.

    Parameters
    ----------
    model : Model
        Model of the spotter. The spotter starts with the detector settings of the model, and can then change its own
        thresholds.
    attentive : bool
        Whether to score every window. A program that uses `scores` or `latest` must set this attribute to True. A
        program may change this attribute at any time.

    Attributes
    ----------
    windows : int
        Number of windows processed so far.
    sample : int
        Number of samples received so far.

    Examples
    --------
    Detect two words in a recording with the default model:

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
        """Model of the spotter, with the default thresholds. The current thresholds are in `thresholds`."""
        return self._model

    def use(self, model: Model) -> None:
        """Replace the model and the detector settings. The sample count continues, but the window starts empty."""
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
        """Smoothed score of each keyword after the latest window.

        The scores are exact only while `attentive` is True.
        """
        return dict(zip(self._detector.keywords, self._detector.smoothed.tolist(), strict=True))

    @property
    def thresholds(self) -> dict[str, float]:
        """Current threshold of each keyword."""
        return self._settings.thresholds

    @property
    def latest(self) -> Float32:
        """Spectrogram frames of the latest hop, with the shape (hop / 128, 129) and the dtype float32.

        The frames are valid only while `attentive` is True.

        The returned array is a view, which the next `feed` changes.
        """
        return self._frames.newest[-self._hop_frames :]

    @property
    def memory_s(self) -> float:
        """Seconds of past audio on which a decision can depend: the audio of all windows in the moving average."""
        return len(self._samples.newest) / SAMPLE_RATE

    @property
    def calm_samples(self) -> int:
        """Number of future samples in which a detection cannot occur. The number is 0 while `attentive` is True."""
        if self.attentive:
            return 0
        return self._samples_to_next_hop + self._detector.calm_windows * self._hop - 1

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords, from the next window on. The scores of past windows stay.

        Raises
        ------
        ModelError
            At least one word is not a keyword of the model.
        """
        self._settings = self._model.settings_with(self._settings, thresholds)
        self._detector.set_thresholds(self._settings.thresholds)

    def feed(self, samples: Float32) -> list[Detection]:
        """Process the next samples, and return the detections that they complete.

        The result does not depend on how the stream is divided into blocks.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
            Next samples of the stream, in any number. Values outside [-1, 1] are clipped, and not-a-number values count
            as silence.

        Raises
        ------
        ValueError
            The samples have a different shape or dtype than described above.
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
        """Process added silence at the end of the stream, and return the last detections."""
        return self.feed(np.zeros(FLUSH_SAMPLES, np.float32))

    def skip(self, samples: Float32) -> None:
        """Count the next samples without processing them.

        After the skipped samples, the window starts empty. The positions of the hops do not change.
        """
        arrived = (self._hop - self._samples_to_next_hop + len(samples)) % self._hop
        if not self._window_is_empty:
            self.reset()
        self._samples_to_next_hop = self._hop - arrived
        self.sample += len(samples)

    def reset(self) -> None:
        """Discard the audio before a gap, so that the audio before and after the gap is never joined."""
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
        """Return the scores of the window whose end is `age` hops before the latest window's end."""
        if self._samples_without_frames:
            # A frame that ends in the new samples starts up to one frame step before them.
            self._frames.append(spectrogram(self._samples.newest[-(self._samples_without_frames + FRAME_STEP) :]))
            self._samples_without_frames = 0
        samples, frames = self._samples.newest, self._frames.newest
        last_sample, last_frame = len(samples) - age * self._hop, len(frames) - age * self._hop_frames
        window = Window(samples[last_sample - WINDOW_SAMPLES : last_sample], frames[last_frame - FRAMES : last_frame])
        return self._model.scores(window)
