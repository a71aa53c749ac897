"""A two-dimensional residual network over frames and mel bands.

Tang and Lin introduced residual networks for keyword spotting (arXiv:1710.10361). The network of kwsd adds the strided
stages of He et al. (arXiv:1512.03385). One window needs 45 million multiplications, a twentieth of the network res15 of
Tang and Lin. The network does not contain depthwise convolutions. Therefore a processor's matrix instructions run the
network at full speed, in training and in int8.
"""

from typing import Any

import keras
from keras import layers

from kwsd import frontend
from kwsd_train.networks.inputs import LogMel, SpecAugment
from kwsd_train.recipe import Resnet

FIRST_KERNEL, KERNEL = 5, 3
BLOCKS_PER_STAGE = 2
EMBEDDING = 128


def build_resnet(settings: Resnet, labels: int) -> keras.Model:
    """Build the two-dimensional residual network, which has about 390,000 parameters with 24, 48 and 88 channels."""
    first, *stages = settings.channels
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")  # (batch, 124, 129)
    x = layers.BatchNormalization()(LogMel()(inputs))  # (batch, 124, 40)
    x = SpecAugment(settings.mask_bands, settings.mask_frames)(x)
    x = layers.Reshape((*x.shape[1:], 1))(x)  # (batch, 124, 40, 1)
    x = _batch_norm_relu(_convolution(x, first, FIRST_KERNEL, 2))  # (batch, 62, 20, channels)
    for channels in stages:
        x = _residual_block(x, channels, 2)  # each stage halves frames and bands
        for _ in range(BLOCKS_PER_STAGE - 1):
            x = _residual_block(x, channels, 1)
    # The kernel covers all bands, because from here on the frequency of a feature matters: (batch, frames, 1, 128).
    x = _batch_norm_relu(layers.Conv2D(EMBEDDING, (1, x.shape[2]), use_bias=False)(x))
    x = layers.GlobalAveragePooling2D(name="embedding")(x)  # (batch, 128)
    x = layers.Dropout(settings.dropout)(x)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="resnet")


def _residual_block(x: Any, channels: int, stride: int) -> Any:
    y = _batch_norm_relu(_convolution(x, channels, KERNEL, stride))
    y = layers.BatchNormalization()(_convolution(y, channels, KERNEL, 1))
    if stride > 1:  # the shortcut must have the shape of the block's output
        x = layers.BatchNormalization()(_convolution(x, channels, 1, stride))
    return layers.ReLU()(layers.Add()([x, y]))


def _convolution(x: Any, channels: int, kernel: int, stride: int) -> Any:
    return layers.Conv2D(channels, kernel, strides=stride, padding="same", use_bias=False)(x)


def _batch_norm_relu(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization()(x))
