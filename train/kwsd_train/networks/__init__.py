"""Networks: each takes spectrograms (n, 124, 129) and returns logits (n, labels); the layer before is ``embedding``."""

import keras

from kwsd.frontend import Float32
from kwsd_train.networks import bc_resnet, resnet, tc_resnet, tutorial
from kwsd_train.recipe import BcResnet, Network, Resnet, Tutorial


def build(settings: Network, labels: int, examples: Float32) -> keras.Model:
    """Build the network of a recipe.

    Parameters
    ----------
    settings : Network
    labels : int
        Number of outputs.
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms of training clips, from which the tutorial's network takes their mean and variance.
    """
    if isinstance(settings, Tutorial):
        return tutorial.build(labels, examples)
    if isinstance(settings, BcResnet):
        return bc_resnet.build(settings, labels)
    if isinstance(settings, Resnet):
        return resnet.build(settings, labels)
    return tc_resnet.build(settings, labels)
