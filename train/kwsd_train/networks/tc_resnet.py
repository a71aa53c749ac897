"""A one-dimensional residual network over time, with mel bands as channels.

Temporal convolutions as in TC-ResNet (arXiv:1904.03814), made depthwise-separable, with the kernel widths of
MatchboxNet (arXiv:2004.08531): one second costs 26 million multiplications at 192 channels.
"""

from typing import Any

import keras
from keras import layers

from kwsd import frontend
from kwsd_train.networks.inputs import LogMel, SpecAugment
from kwsd_train.recipe import TcResnet

FIRST_KERNEL, BLOCK_KERNELS, LAST_KERNEL = 5, (9, 11, 13, 15), 17
EMBEDDING = 128


def build(settings: TcResnet, labels: int) -> keras.Model:
    """About 405,000 parameters at 192 channels."""
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
