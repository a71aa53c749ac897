"""A two-dimensional residual network over frames and mel bands.

Residual learning for keyword spotting as in Tang and Lin (arXiv:1710.10361), with the strided stages of He et al.
(arXiv:1512.03385), which make it twenty times cheaper than their res15: 45 million multiplications a window. It has no
depthwise convolution, so that it trains and runs, in int8, at the full speed of a processor's matrix instructions.
"""

from typing import Any

import keras
from keras import layers

from kwsd import frontend
from kwsd_train.networks.inputs import LogMel, SpecAugment
from kwsd_train.recipe import Resnet

FIRST_KERNEL, KERNEL = 5, 3
BLOCKS = 2  # a stage
EMBEDDING = 128


def build(settings: Resnet, labels: int) -> keras.Model:
    """About 390,000 parameters with 24, 48 and 88 channels."""
    first, *stages = settings.channels
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")
    x = layers.BatchNormalization()(LogMel()(inputs))
    x = SpecAugment(settings.mask_bands, settings.mask_frames)(x)
    x = layers.Reshape((*x.shape[1:], 1))(x)
    x = _relu(_convolution(x, first, FIRST_KERNEL, 2))
    for channels in stages:
        x = _block(x, channels, 2)
        for _ in range(BLOCKS - 1):
            x = _block(x, channels, 1)
    # All bands at once: from here on it matters how high a feature lies.
    x = _relu(layers.Conv2D(EMBEDDING, (1, x.shape[2]), use_bias=False)(x))
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(settings.dropout)(x)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="resnet")


def _block(x: Any, channels: int, stride: int) -> Any:
    y = _relu(_convolution(x, channels, KERNEL, stride))
    y = layers.BatchNormalization()(_convolution(y, channels, KERNEL, 1))
    if stride > 1:
        x = layers.BatchNormalization()(_convolution(x, channels, 1, stride))
    return layers.ReLU()(layers.Add()([x, y]))


def _convolution(x: Any, channels: int, kernel: int, stride: int) -> Any:
    return layers.Conv2D(channels, kernel, strides=stride, padding="same", use_bias=False)(x)


def _relu(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(x))
