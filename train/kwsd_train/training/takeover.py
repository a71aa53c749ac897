"""Transfer of weights from a trained network to a new network with matching layers."""

from typing import Any

import keras
import msgspec
import numpy as np

from kwsd.frontend import Float32
from kwsd_train.recipe import REGULARIZATION, Network, Recipe, Resnet


def can_take_over(before: Recipe, recipe: Recipe) -> bool:
    """Whether the network of a recipe can take over the weights of a network of the recipe `before`.

    The network settings that have an effect only during training may differ. A new `resnet` may have more channels than
    the trained `resnet`.
    """
    old, new = before.network, recipe.network
    if isinstance(old, Resnet) and isinstance(new, Resnet) and len(old.channels) == len(new.channels):
        return all(narrow <= wide for narrow, wide in zip(old.channels, new.channels, strict=True))
    return _architecture(old) == _architecture(new)


def take_over_weights(new: keras.Model, old: keras.Model) -> None:
    """Copy the weights of a trained network to a new network, for the channels that both networks have.

    - If the new network has more channels, its output is initially equal to the output of the trained network. This
      method is called Net2Net (Chen et al., arXiv:1511.05641). The added channels start with random weights, but later
      layers do not use the added channels yet.
    - If the new network has fewer channels, the last channels of the trained network are removed. Added channels are
      always the last channels.

    Parameters
    ----------
    new : keras.Model
        New network, which is not trained yet.
    old : keras.Model
        Trained network, whose layers must match the layers of the new network. Only convolutions, dense layers and
        batch normalisation are supported.
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
    """Return the settings that must be equal in two networks if one network takes over the weights of the other."""
    settings: dict[str, Any] = msgspec.to_builtins(network)
    return {name: value for name, value in settings.items() if name not in REGULARIZATION}
