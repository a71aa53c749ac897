"""The BC-ResNet, a network of convolutions over time whose results are broadcast over all frequencies.

The source of the network is Kim et al., arXiv:2106.04140. The layers follow the authors' program
(github.com/Qualcomm-AI-research/bcresnet, bcresnet.py and subspectralnorm.py). The first layer of the network is the
log-mel layer of kwsd.
"""

from typing import Any

import keras
from keras import layers, ops

from kwsd import frontend
from kwsd_train.networks.inputs import LogMel, SpecAugment
from kwsd_train.recipe import BcResnet

WIDTH = 8
"""Number of channels of the narrowest stage at scale one."""
STAGES = ((2, 1, 1), (2, 1.5, 2), (4, 2, 4), (4, 2.5, 8))
"""Three values for each stage: number of blocks, channels as a multiple of `WIDTH`, and dilation over time."""
HALVED = frozenset({1, 2})
"""Indices of the stages whose first block halves the number of frequency bins."""
SUB_BANDS = 5
MOMENTUM, EPSILON = 0.9, 1e-5
"""Constants of batch normalisation: PyTorch's default values, converted to the definitions of Keras."""


@keras.saving.register_keras_serializable("kwsd")
class SubSpectralNorm(layers.Layer):  # type: ignore[misc]
    """Batch normalisation that has separate statistics for each of five sub-bands (Chang et al., arXiv:2103.13620).

    The input and the output have the shape (batch, bins, frames, channels). The number of bins must be a multiple of
    five.
    """

    def build(self, shape: tuple[int, ...]) -> None:
        """Create the normalisation statistics for every channel of every sub-band."""
        self.norm = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)
        self.norm.build((None, None, None, SUB_BANDS * shape[-1]))

    def call(self, features: Any, *, training: bool = False) -> Any:
        """Normalise features.

        For the normalisation, each sub-band becomes a separate group of channels. After the normalisation, the bins
        return to their original order.
        """
        _, bins, frames, channels = features.shape
        high = bins // SUB_BANDS
        x = ops.reshape(features, (-1, SUB_BANDS, high, frames, channels))  # (batch, 5, bins / 5, frames, channels)
        x = ops.transpose(x, (0, 2, 3, 1, 4))  # (batch, bins / 5, frames, 5, channels)
        x = ops.reshape(x, (-1, high, frames, SUB_BANDS * channels))  # (batch, bins / 5, frames, 5 * channels)
        x = self.norm(x, training=training)
        x = ops.reshape(x, (-1, high, frames, SUB_BANDS, channels))  # (batch, bins / 5, frames, 5, channels)
        x = ops.transpose(x, (0, 3, 1, 2, 4))  # (batch, 5, bins / 5, frames, channels)
        return ops.reshape(x, (-1, bins, frames, channels))  # (batch, bins, frames, channels)


def build_bc_resnet(settings: BcResnet, labels: int) -> keras.Model:
    """Build the BC-ResNet, which has 9,232 trainable parameters at scale one with twelve labels."""
    width = int(WIDTH * settings.scale)
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")  # (batch, 124, 129)
    x = SpecAugment(settings.mask_bands, settings.mask_frames)(LogMel()(inputs))  # (batch, 124, 40)
    x = layers.Reshape((*x.shape[1:], 1))(x)  # (batch, 124, 40, 1)
    x = layers.Permute((2, 1, 3))(x)  # (batch, 40, 124, 1)
    x = _batch_norm(_padded_convolution(x, 2 * width), "relu")  # (batch, 20, 124, 2 * width)
    for stage, (blocks, multiple, dilation) in enumerate(STAGES):
        x = _transition_block(x, int(multiple * width), dilation, halve=stage in HALVED)
        for _ in range(blocks - 1):
            x = layers.ReLU()(layers.Add()([x, _broadcast_residual(x, dilation)]))
    x = layers.DepthwiseConv2D(5, use_bias=False)(layers.ZeroPadding2D((0, 2))(x))  # (batch, 1, 124, channels)
    x = _batch_norm(layers.Conv2D(4 * width, 1, use_bias=False)(x), "relu")  # (batch, 1, 124, 4 * width)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)  # (batch, 4 * width)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="bc_resnet")


def _padded_convolution(x: Any, channels: int) -> Any:
    # PyTorch pads both sides equally even with a stride of two; Keras' "same" does not.
    return layers.Conv2D(channels, 5, strides=(2, 1), use_bias=False)(layers.ZeroPadding2D(2)(x))


def _transition_block(x: Any, channels: int, dilation: int, *, halve: bool) -> Any:
    """Add the first block of a stage, which changes the number of channels and does not have a shortcut."""
    x = _batch_norm(layers.Conv2D(channels, 1, use_bias=False)(x), "relu")
    return layers.ReLU()(_broadcast_residual(x, dilation, halve=halve))


def _broadcast_residual(x: Any, dilation: int, *, halve: bool = False) -> Any:
    """Return two-dimensional features plus the output of a convolution over time.

    The input of the convolution is the mean of the features over frequency. The output of this convolution is added to
    the features at every frequency.
    """
    y = layers.DepthwiseConv2D((3, 1), padding="same", use_bias=False)(x)
    y = SubSpectralNorm()(y[:, ::2] if halve else y)  # (batch, bins, frames, channels)
    z = ops.mean(y, axis=1, keepdims=True)  # (batch, 1, frames, channels)
    z = layers.DepthwiseConv2D((1, 3), dilation_rate=(1, dilation), padding="same", use_bias=False)(z)
    z = layers.Conv2D(x.shape[-1], 1, use_bias=False)(_batch_norm(z, "swish"))
    return layers.Add()([y, layers.SpatialDropout2D(0.1)(z)])  # z is broadcast over the bins


def _batch_norm(x: Any, activation: str) -> Any:
    return layers.Activation(activation)(layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON)(x))
