"""BC-ResNet: convolutions over time whose result is broadcast over frequency (Kim et al., arXiv:2106.04140).

Layer by layer as in the authors' program (github.com/Qualcomm-AI-research/bcresnet, bcresnet.py and
subspectralnorm.py), on the log-mel layer of this project's front end.
"""

from typing import Any

import keras
from keras import layers, ops

from kwsd import frontend
from kwsd_train.networks.inputs import LogMel, SpecAugment
from kwsd_train.recipe import BcResnet

WIDTH = 8  # channels at a scale of one
STAGES = ((2, 1, 1), (2, 1.5, 2), (4, 2, 4), (4, 2.5, 8))
"""Blocks, channels as a multiple of the width, and dilation over time, of each stage."""
HALVED = frozenset({1, 2})
"""Stages whose first block halves the frequencies."""
SUB_BANDS = 5
MOMENTUM, EPSILON = 0.9, 1e-5  # PyTorch's defaults, in Keras' terms


@keras.saving.register_keras_serializable("kwsd")
class SubSpectralNorm(layers.Layer):  # type: ignore[misc]
    """Batch normalisation with statistics of its own for each of five sub-bands (Chang et al., arXiv:2103.13620).

    Takes and gives (n, frequencies, frames, channels), with frequencies a multiple of five.
    """

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the statistics of every channel of every sub-band."""
        self.norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)
        self.norm.build((None, None, None, SUB_BANDS * shape[-1]))

    def call(self, features: Any, *, training: bool = False) -> Any:
        """Normalise."""
        _, high, frames, channels = features.shape
        x = ops.reshape(features, (-1, SUB_BANDS, high // SUB_BANDS, frames, channels))
        x = ops.reshape(ops.transpose(x, (0, 2, 3, 1, 4)), (-1, high // SUB_BANDS, frames, SUB_BANDS * channels))
        x = ops.reshape(self.norm(x, training=training), (-1, high // SUB_BANDS, frames, SUB_BANDS, channels))
        return ops.reshape(ops.transpose(x, (0, 3, 1, 2, 4)), (-1, high, frames, channels))


def build(settings: BcResnet, labels: int) -> keras.Model:
    """9,232 trainable parameters at a scale of one and twelve labels."""
    width = int(WIDTH * settings.scale)
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")
    x = SpecAugment(settings.mask_bands, settings.mask_frames)(LogMel()(inputs))
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = layers.Permute((2, 1, 3))(x)
    x = _norm(_padded_convolution(x, 2 * width), "relu")
    for stage, (blocks, multiple, dilation) in enumerate(STAGES):
        x = _transition(x, int(multiple * width), dilation, halve=stage in HALVED)
        for _ in range(blocks - 1):
            x = layers.ReLU()(layers.Add()([x, _broadcast_residual(x, dilation)]))
    x = layers.DepthwiseConv2D(5, use_bias=False)(layers.ZeroPadding2D((0, 2))(x))
    x = _norm(layers.Conv2D(4 * width, 1, use_bias=False)(x), "relu")
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="bc_resnet")


def _padded_convolution(x: Any, channels: int) -> Any:
    # PyTorch pads both sides alike, also where the stride is two.
    return layers.Conv2D(channels, 5, strides=(2, 1), use_bias=False)(layers.ZeroPadding2D(2)(x))


def _transition(x: Any, channels: int, dilation: int, *, halve: bool) -> Any:
    """The first block of a stage, which changes the number of channels and has no shortcut."""
    x = _norm(layers.Conv2D(channels, 1, use_bias=False)(x), "relu")
    return layers.ReLU()(_broadcast_residual(x, dilation, halve=halve))


def _broadcast_residual(x: Any, dilation: int, *, halve: bool = False) -> Any:
    """Features over frequency, and what convolution over time makes of their mean, added at every frequency."""
    y = layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False)(x)
    y = SubSpectralNorm()(y[:, ::2] if halve else y)
    z = ops.mean(y, axis=1, keepdims=True)
    z = layers.DepthwiseConv2D((1, 3), dilation_rate=(1, dilation), padding="same", use_bias=False)(z)
    z = layers.Conv2D(x.shape[-1], 1, use_bias=False)(_norm(z, "swish"))
    return layers.Add()([y, layers.SpatialDropout2D(0.1)(z)])


def _norm(x: Any, activation: str) -> Any:
    return layers.Activation(activation)(layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)(x))
