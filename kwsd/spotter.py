"""The spotter: samples in, detections out. It is the whole pipeline, and the same one for every source."""

import numpy as np

from kwsd.detector import Detection, Detector
from kwsd.frontend import BINS, FRAME_STEP, FRAMES, SAMPLE_RATE, WINDOW_SAMPLES, Float32, spectrogram
from kwsd.model import Model, Window
from kwsd.ring import Ring

FLUSH_SAMPLES = SAMPLE_RATE // 2
"""Silence after the end of a finite stream: the latest word has then been in enough windows to be decided."""


class Spotter:
    """Finds the keywords of a model in a stream.

    The stream begins as if silence had gone before it, so that the first window is there after one hop.

    Parameters
    ----------
    model : Model

    Attributes
    ----------
    windows : int
        Windows scored so far.
    sample : int
        Samples so far.
    """

    def __init__(self, model: Model) -> None:
        self._samples = Ring(WINDOW_SAMPLES)
        self._frames = Ring(FRAMES, (BINS,))
        self._missing = 0
        self.sample = 0
        self.windows = 0
        self.use(model)

    def use(self, model: Model) -> None:
        """Go on with a model: the samples are counted on, the window begins anew."""
        self._model = model
        self._detector = Detector(model.labels, model.detector)
        self._hop = model.hop_samples
        self.reset()

    @property
    def scores(self) -> dict[str, float]:
        """Smoothed score of each keyword in the latest window."""
        return dict(zip(self._detector.keywords, self._detector.smoothed.tolist(), strict=True))

    @property
    def latest(self) -> Float32:
        """Frames of the latest hop: shape (hop / 128, 129), float32; a view that the next `feed` changes."""
        return self._frames.newest[-self._hop // FRAME_STEP :]

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords, from the next window on; nothing is forgotten.

        Raises
        ------
        ModelError
            A word is no keyword of the model.
        """
        self._model.set_thresholds(thresholds)
        self._detector.set_thresholds(self._model.detector.thresholds)

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
        """Count the next samples without looking at them: the window begins anew after them."""
        self.reset()
        self.sample += len(samples)

    def reset(self) -> None:
        """Forget the audio so far, as after a gap: what lies before and after it is never joined."""
        self._samples.clear()
        self._frames.clear()
        self._detector.reset()
        self._missing = self._hop

    def _decide(self) -> list[Detection]:
        # The frames that end in this hop begin up to one frame step before it.
        self._frames.append(spectrogram(self._samples.newest[-(self._hop + FRAME_STEP) :]))
        scores = self._model.scores(Window(self._samples.newest, self._frames.newest))
        self.windows += 1
        detection = self._detector.update(scores, self.sample)
        return [detection] if detection else []
