"""A model is a network with its labels and with the settings that convert its scores to detections."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from kwsd.errors import ModelError
from kwsd.frontend import WINDOW_SAMPLES, Float32, spectrogram
from kwsd.models.bundle import DetectorSettings, keywords_among

log = logging.getLogger(__name__)

HOP_SAMPLES = 1280
"""Hop of a model that is not in a bundle: 80 ms, in samples."""

THRESHOLD = 0.9
"""Threshold of every keyword if a model is not in a bundle. The threshold is high, because a network without a bundle
often knows only keywords, and reports a keyword for every other sound."""


class Window(NamedTuple):
    """One second of audio, both as samples and as a spectrogram.

    Parameters
    ----------
    samples : ndarray, shape (16000,), float32 in [-1, 1]
    spectrogram : ndarray, shape (124, 129), float32
        Spectrogram of the samples, as `kwsd.frontend.spectrogram` returns it.
    """

    samples: Float32
    spectrogram: Float32


class Network(Protocol):
    """A network that computes the scores of a window."""

    def scores(self, window: Window) -> Float32:
        """Return the probability of each label, with the shape (labels,) and the dtype float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network with its labels and its default detector settings. A model never changes.

    Parameters
    ----------
    labels : tuple of str
        Label of each score, in the order of the scores.
    hop_samples : int
        Number of samples from the end of one window to the end of the next.
    detector : DetectorSettings
        Detector settings with which a `kwsd.Spotter` starts.
    """

    name: str
    labels: tuple[str, ...]
    hop_samples: int
    detector: DetectorSettings
    network: Network

    @property
    def keywords(self) -> tuple[str, ...]:
        """Labels that become events."""
        return tuple(keywords_among(self.labels))

    def scores(self, window: Window) -> Float32:
        """Return the probability of each label, with the shape (labels,) and the dtype float32.

        The test during loading cannot exclude that a network fails on a rare sound. Scores that are not numbers are
        replaced with 0. All other scores are clipped to [0, 1].
        """
        scores = self.network.scores(window)
        if not (scores.min() >= 0 and scores.max() <= 1):  # true for not-a-number, too
            _warn_about_scores(self.name)
            scores = np.nan_to_num(scores, nan=0).clip(0, 1)
        return scores

    def predict(self, waveforms: Float32) -> Float32:
        """Return the scores of windows that are independent of each other.

        Parameters
        ----------
        waveforms : ndarray, shape (n, 16000), float32 in [-1, 1], 16 kHz mono

        Returns
        -------
        ndarray, shape (n, labels), float32
            Probability of each label in each window.

        Raises
        ------
        ValueError
            The waveforms do not have the shape (n, 16000).
        """
        waveforms = np.asarray(waveforms, np.float32)
        if waveforms.shape != (len(waveforms), WINDOW_SAMPLES):
            raise ValueError(f"waveforms have shape {waveforms.shape}, not (n, {WINDOW_SAMPLES})")
        scores = np.empty((len(waveforms), len(self.labels)), np.float32)
        for row, samples in zip(scores, waveforms, strict=True):
            row[:] = self.scores(Window(samples, spectrogram(samples)))
        return scores

    def with_thresholds(self, thresholds: Mapping[str, float]) -> "Model":
        """Return a copy of this model with other default thresholds for some keywords.

        Raises
        ------
        ModelError
            At least one word is not a keyword of this model.
        """
        return replace(self, detector=self.settings_with(self.detector, thresholds))

    def settings_with(self, settings: DetectorSettings, thresholds: Mapping[str, float]) -> DetectorSettings:
        """Return a copy of detector settings with other thresholds for some keywords.

        Raises
        ------
        ModelError
            At least one word is not a keyword of this model.
        """
        for word in thresholds:
            if word not in self.keywords:
                raise ModelError(
                    f"model {self.name} has no keyword {word!r}: its keywords are {' '.join(self.keywords)}"
                )
        return msgspec.structs.replace(settings, thresholds=settings.thresholds | dict(thresholds))


def make_default_settings(labels: Sequence[str]) -> DetectorSettings:
    """Return the default detector settings for a model that is not in a bundle."""
    return DetectorSettings(dict.fromkeys(keywords_among(labels), THRESHOLD))


@cache
def _warn_about_scores(name: str) -> None:
    log.warning("model %s returns scores that are not probabilities: kwsd clips them to the range from 0 to 1", name)
