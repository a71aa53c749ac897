"""The network of TensorFlow's "Simple audio recognition" tutorial: a small image classifier on the spectrogram."""

import keras
from keras import layers

from kwsd import frontend
from kwsd.frontend import Float32


def build(labels: int, examples: Float32) -> keras.Model:
    """1.63 million parameters for eight labels.

    Parameters
    ----------
    labels : int
    examples : ndarray, shape (n, 124, 129), float32
        Training spectrograms; their mean and variance become constants of the network.
    """
    inputs = keras.Input((frontend.FRAMES, frontend.BINS), name="spectrogram")
    x = layers.Reshape((frontend.FRAMES, frontend.BINS, 1))(inputs)
    x = layers.Resizing(32, 32)(x)
    x = layers.Normalization(axis=None, mean=float(examples.mean()), variance=float(examples.var()))(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu", name="embedding")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(labels, name="logits")(x), name="tutorial")
