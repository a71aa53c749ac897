"""The network of TensorFlow's tutorial "Simple audio recognition", a small image classifier for spectrograms."""

import keras
from keras import layers

from kwsd import frontend
from kwsd.frontend import Float32


def build_tutorial(labels: int, examples: Float32) -> keras.Model:
    """Build the tutorial's network, which has 1.63 million parameters with eight labels.

    Parameters
    ----------
    labels : int
        Number of outputs of the network.
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms of training examples. The mean and the variance of the spectrograms become constants of the
        network.
    """
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")  # (batch, 124, 129)
    x = layers.Reshape((frontend.FRAMES, frontend.BINS, 1))(inputs)  # (batch, 124, 129, 1)
    x = layers.Resizing(32, 32)(x)  # (batch, 32, 32, 1)
    x = layers.Normalization(axis=None, mean=float(examples.mean()), variance=float(examples.var()))(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)  # (batch, 30, 30, 32)
    x = layers.Conv2D(64, 3, activation="relu")(x)  # (batch, 28, 28, 64)
    x = layers.MaxPooling2D()(x)  # (batch, 14, 14, 64)
    x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)  # (batch, 12544)
    x = layers.Dense(128, activation="relu", name="embedding")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="tutorial")
