"""A one-dimensional residual network over time, with mel bands as channels.

Temporal convolutions as in TC-ResNet (arXiv:1904.03814), made depthwise-separable, with the kernel widths of
MatchboxNet (arXiv:2004.08531): one second costs 26 million multiplications at 192 channels.
"""

from typing import Any

import keras
from keras import layers, ops

from kwsd import frontend
from kwsd_train.features import mel_matrix
from kwsd_train.recipe import TcResnet

MEL_BANDS = 40
FLOOR = 1e-6  # about the power of a 16-bit rounding error in a band: what lies below is no sound
FIRST_KERNEL, BLOCK_KERNELS, LAST_KERNEL = 5, (9, 11, 13, 15), 17
EMBEDDING = 128


@keras.saving.register_keras_serializable("kwsd")
class LogMel(layers.Layer):  # type: ignore[misc]
    """Logarithm of the power in mel bands: magnitudes (n, 124, 129) to (n, 124, 40)."""

    def call(self, magnitudes: Any) -> Any:
        """Transform spectrograms."""
        return ops.log(ops.matmul(ops.square(magnitudes), mel_matrix(MEL_BANDS)) + FLOOR)


@keras.saving.register_keras_serializable("kwsd")
class SpecAugment(layers.Layer):  # type: ignore[misc]
    """In training, sets two random runs of bands and two of frames to zero (arXiv:1904.08779, section 2).

    Parameters
    ----------
    bands, frames : int
        Longest run of either.
    """

    def __init__(self, bands: int, frames: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.bands, self.frames = bands, frames
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, features: Any, *, training: bool = False) -> Any:
        """Mask features (n, frames, bands)."""
        if not training:
            return features
        for _ in range(2):
            features = features * self._mask(features, 1, self.frames) * self._mask(features, 2, self.bands)
        return features

    def get_config(self) -> dict[str, Any]:
        """Arguments for Keras to build the layer again."""
        return {**super().get_config(), "bands": self.bands, "frames": self.frames}

    def _mask(self, features: Any, axis: int, longest: int) -> Any:
        count, size = ops.shape(features)[0], features.shape[axis]
        length = keras.random.uniform((count, 1), 0, longest + 1, seed=self.seeds)
        start = keras.random.uniform((count, 1), 0, 1, seed=self.seeds) * (size - length)
        place = ops.arange(size, dtype="float32")
        outside = ops.logical_or(place < start, place >= start + length)
        return ops.expand_dims(ops.cast(outside, features.dtype), 3 - axis)


def build(settings: TcResnet, labels: int) -> keras.Model:
    """About 420,000 parameters at 192 channels."""
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")
    x = layers.BatchNormalization()(LogMel()(inputs))
    x = SpecAugment(settings.mask_bands, settings.mask_frames)(x)
    x = _relu(layers.Conv1D(settings.channels, FIRST_KERNEL, strides=2, padding="same", use_bias=False)(x))
    for kernel in BLOCK_KERNELS:
        x = layers.Dropout(settings.dropout)(_block(x, kernel))
    x = layers.DepthwiseConv1D(LAST_KERNEL, padding="same", use_bias=False)(x)
    for _ in range(2):
        x = _relu(layers.Conv1D(EMBEDDING, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling1D(name="embedding")(x)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="tc_resnet")


def _block(x: Any, kernel: int) -> Any:
    y = _relu(_separable(x, kernel))
    y = layers.BatchNormalization()(_separable(y, kernel))
    return layers.ReLU()(layers.Add()([x, y]))


def _separable(x: Any, kernel: int) -> Any:
    x = layers.DepthwiseConv1D(kernel, padding="same", use_bias=False)(x)
    return layers.Conv1D(x.shape[-1], 1, use_bias=False)(x)


def _relu(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(x))
