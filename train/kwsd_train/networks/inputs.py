"""First layers of the networks: a log-mel layer, and a layer with the masks of SpecAugment."""

from typing import Any

import keras
from keras import layers, ops

from kwsd_train.data.features import mel_matrix

MEL_BANDS = 40
FLOOR = 1e-6
"""Constant that is added to the power before the logarithm.

The constant is approximately the power of 16-bit rounding noise in a mel band.
"""


@keras.saving.register_keras_serializable("kwsd")
class LogMel(layers.Layer):  # type: ignore[misc]
    """Layer that maps magnitudes (n, 124, 129) to the logarithm of the power in mel bands (n, 124, 40)."""

    def call(self, magnitudes: Any) -> Any:
        """Return the logarithms of the mel bands of spectrograms."""
        return ops.log(ops.matmul(ops.square(magnitudes), mel_matrix(MEL_BANDS)) + FLOOR)


@keras.saving.register_keras_serializable("kwsd")
class SpecAugment(layers.Layer):  # type: ignore[misc]
    """Layer that masks features at random during training (SpecAugment, arXiv:1904.08779, section 2).

    The layer sets two random ranges of bands and two random ranges of frames to zero.

    Parameters
    ----------
    bands, frames : int
        Maximum length of a masked range of bands, and maximum length of a masked range of frames.
    """

    def __init__(self, bands: int, frames: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.bands, self.frames = bands, frames
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, features: Any, *, training: bool = False) -> Any:
        """Mask features that have the shape (batch, frames, bands)."""
        if not training:
            return features
        for _ in range(2):
            features = features * self._mask(features, 1, self.frames) * self._mask(features, 2, self.bands)
        return features

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which Keras recreates the layer when a network is loaded."""
        return {**super().get_config(), "bands": self.bands, "frames": self.frames}

    def _mask(self, features: Any, axis: int, longest: int) -> Any:
        """Return a random mask along one axis: shape (batch, frames, 1) for axis 1, or (batch, 1, bands) for axis 2."""
        count, size = ops.shape(features)[0], features.shape[axis]
        length = keras.random.uniform((count, 1), 0, longest + 1, seed=self.seeds)  # (batch, 1)
        start = keras.random.uniform((count, 1), 0, 1, seed=self.seeds) * (size - length)  # (batch, 1)
        place = ops.arange(size, dtype="float32")  # (size,)
        outside = ops.logical_or(place < start, place >= start + length)  # (batch, size)
        return ops.expand_dims(ops.cast(outside, features.dtype), 3 - axis)
