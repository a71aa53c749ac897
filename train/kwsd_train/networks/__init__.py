"""Networks: each takes spectrograms (n, 124, 129) and returns logits (n, labels); the layer before is ``embedding``."""

import keras

from kwsd.frontend import Float32
from kwsd_train.networks import tc_resnet, tutorial
from kwsd_train.recipe import TcResnet, Tutorial


def build(settings: Tutorial | TcResnet, labels: int, examples: Float32) -> keras.Model:
    """Build the network of a recipe.

    Parameters
    ----------
    settings : Tutorial or TcResnet
    labels : int
        Number of outputs.
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms of training clips, from which the tutorial's network takes their mean and variance.
    """
    if isinstance(settings, Tutorial):
        return tutorial.build(labels, examples)
    return tc_resnet.build(settings, labels)
