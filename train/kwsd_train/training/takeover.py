"""Gives a new network the weights of a trained network with the same layers."""

from typing import Any

import keras
import msgspec
import numpy as np

from kwsd.frontend import Float32
from kwsd_train.recipe import REGULARIZATION, Network, Recipe, Resnet


def can_take_over(before: Recipe, recipe: Recipe) -> bool:
    """Whether the network of a recipe can take over the weights of the recipe `before`.

    The networks may differ in settings that act only in training. A `resnet` may have more channels than before.
    """
    old, new = before.network, recipe.network
    if isinstance(old, Resnet) and isinstance(new, Resnet) and len(old.channels) == len(new.channels):
        return all(narrow <= wide for narrow, wide in zip(old.channels, new.channels, strict=True))
    return _architecture(old) == _architecture(new)


def take_over_weights(new: keras.Model, old: keras.Model) -> None:
    """Copy the weights of a trained network to a new one, for the channels that both have.

    - If the new network has more channels, it first computes the same output as the trained one, as in Net2Net (Chen
      et al., arXiv:1511.05641). The added channels start at random, but no later layer uses them yet.
    - If it has fewer channels, the last ones are removed. Added channels are always the last ones.

    Parameters
    ----------
    new : keras.Model
        Network that was not trained yet.
    old : keras.Model
        Trained network with the same layers. Only convolutions, dense layers and batch normalisation are supported.
    """
    pairs = zip(new.get_weights(), old.get_weights(), strict=True)
    new.set_weights([_merge_weights(initial, learned) for initial, learned in pairs])


def _merge_weights(initial: Float32, learned: Float32) -> Float32:
    both: tuple[Any, ...] = tuple(slice(min(sizes)) for sizes in zip(initial.shape, learned.shape, strict=True))
    merged = initial.copy()
    if learned.ndim > 1:  # a kernel (…, channels in, channels out): the old outputs must not depend on added inputs
        merged[..., learned.shape[-2] :, : learned.shape[-1]] = np.float32(0)
    merged[both] = learned[both]
    return merged


def _architecture(network: Network) -> dict[str, Any]:
    """Settings that must be equal for the weights of two networks to be interchangeable."""
    settings: dict[str, Any] = msgspec.to_builtins(network)
    return {name: value for name, value in settings.items() if name not in REGULARIZATION}
