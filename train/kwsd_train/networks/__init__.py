"""Networks that map spectrograms (n, 124, 129) to logits (n, labels).

In every network, the layer before the last layer has the name ``embedding``.
"""

import keras

from kwsd.frontend import Float32
from kwsd_train.networks.bc_resnet import build_bc_resnet
from kwsd_train.networks.resnet import build_resnet
from kwsd_train.networks.tc_resnet import build_tc_resnet
from kwsd_train.networks.tutorial import build_tutorial
from kwsd_train.recipe import BcResnet, Network, Resnet, Tutorial


def build_network(settings: Network, labels: int, examples: Float32) -> keras.Model:
    """Build the network that a recipe describes.

    Parameters
    ----------
    labels : int
        Number of outputs of the network.
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms of training clips. Only the tutorial's network uses training spectrograms when it is built. The
        tutorial's network needs the mean and the variance of the spectrograms.
    """
    if isinstance(settings, Tutorial):
        return build_tutorial(labels, examples)
    if isinstance(settings, BcResnet):
        return build_bc_resnet(settings, labels)
    if isinstance(settings, Resnet):
        return build_resnet(settings, labels)
    return build_tc_resnet(settings, labels)
