"""A one-dimensional residual network of convolutions over time, whose input channels are the mel bands.

The temporal convolutions follow TC-ResNet (arXiv:1904.03814), but they are depthwise-separable. The kernel widths of
the convolutions are taken from MatchboxNet (arXiv:2004.08531). With 192 channels, the network needs 26 million
multiplications per window.
"""

from typing import Any

import keras
from keras import layers

from kwsd import frontend
from kwsd_train.networks.inputs import LogMel, SpecAugment
from kwsd_train.recipe import TcResnet

FIRST_KERNEL, BLOCK_KERNELS, LAST_KERNEL = 5, (9, 11, 13, 15), 17
"""Kernel widths of the convolutions, in frames.

A frame is 8 ms long before the first layer and 16 ms long after the first layer.
"""
EMBEDDING = 128


def build_tc_resnet(settings: TcResnet, labels: int) -> keras.Model:
    """Build the one-dimensional residual network, which has about 405,000 parameters with 192 channels."""
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")  # (batch, 124, 129)
    x = layers.BatchNormalization()(LogMel()(inputs))  # (batch, 124, 40)
    x = SpecAugment(settings.mask_bands, settings.mask_frames)(x)
    # The stride halves the frames: (batch, 62, channels).
    x = _batch_norm_relu(layers.Conv1D(settings.channels, FIRST_KERNEL, strides=2, padding="same", use_bias=False)(x))
    for kernel in BLOCK_KERNELS:
        x = layers.Dropout(settings.dropout)(_residual_block(x, kernel))
    x = layers.DepthwiseConv1D(LAST_KERNEL, padding="same", use_bias=False)(x)
    for _ in range(2):
        x = _batch_norm_relu(layers.Conv1D(EMBEDDING, 1, use_bias=False)(x))  # (batch, 62, 128)
    x = layers.GlobalAveragePooling1D(name="embedding")(x)  # (batch, 128)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="tc_resnet")


def _residual_block(x: Any, kernel: int) -> Any:
    y = _batch_norm_relu(_separable_convolution(x, kernel))
    y = layers.BatchNormalization()(_separable_convolution(y, kernel))
    return layers.ReLU()(layers.Add()([x, y]))


def _separable_convolution(x: Any, kernel: int) -> Any:
    x = layers.DepthwiseConv1D(kernel, padding="same", use_bias=False)(x)
    return layers.Conv1D(x.shape[-1], 1, use_bias=False)(x)


def _batch_norm_relu(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(x))
