"""Models: what turns a window into scores."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import msgspec
import numpy as np

from kwsd import frontend
from kwsd.errors import ModelError
from kwsd.frontend import Float32
from kwsd.models import bundle
from kwsd.models.bundle import DetectorSettings


class Window(NamedTuple):
    """One second of audio in both of its forms.

    Parameters
    ----------
    samples : ndarray, shape (16000,), float32 in [-1, 1]
    spectrogram : ndarray, shape (124, 129), float32
        `kwsd.frontend.spectrogram` of the samples.
    """

    samples: Float32
    spectrogram: Float32


class Model(ABC):
    """A network with its labels and the settings to decide on its scores.

    Attributes
    ----------
    name : str
    labels : tuple of str
        Meaning of the scores, in order.
    hop_samples : int
        Samples from one window to the next.
    detector : DetectorSettings
    """

    name: str
    labels: tuple[str, ...]
    hop_samples: int
    detector: DetectorSettings

    @property
    def keywords(self) -> tuple[str, ...]:
        """Labels that become events."""
        return tuple(label for label in self.labels if label not in bundle.RESERVED_LABELS)

    @abstractmethod
    def scores(self, window: Window) -> Float32:
        """Probability of each label: shape (labels,), float32."""

    def predict(self, waveforms: Float32) -> Float32:
        """Scores of whole windows.

        Parameters
        ----------
        waveforms : ndarray, shape (n, 16000), float32 in [-1, 1], 16 kHz mono

        Returns
        -------
        ndarray, shape (n, labels), float32
            Probabilities.

        Raises
        ------
        ValueError
            The waveforms have another shape.
        """
        waveforms = np.asarray(waveforms, np.float32)
        if waveforms.shape != (len(waveforms), frontend.WINDOW_SAMPLES):
            raise ValueError(f"waveforms have shape {waveforms.shape}, not (n, {frontend.WINDOW_SAMPLES})")
        scores = np.empty((len(waveforms), len(self.labels)), np.float32)
        for row, samples in zip(scores, waveforms, strict=True):
            row[:] = self.scores(Window(samples, frontend.spectrogram(samples)))
        return scores

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords.

        Raises
        ------
        ModelError
            A word is no keyword of this model.
        """
        for word in thresholds:
            if word not in self.keywords:
                raise ModelError(
                    f"model {self.name} has no keyword {word!r}: its keywords are {' '.join(self.keywords)}"
                )
        merged = self.detector.thresholds | thresholds
        self.detector = msgspec.structs.replace(self.detector, thresholds=merged)
