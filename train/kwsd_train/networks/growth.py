"""A network takes over what a narrower one has learned."""

from typing import Any

import keras
import numpy as np

from kwsd.frontend import Float32


def take_over(wider: keras.Model, narrower: keras.Model) -> None:
    """Make a new network compute what a trained one does, as in Net2Net (Chen et al., arXiv:1511.05641).

    Parameters
    ----------
    wider : keras.Model
        Not trained yet. Where it has more channels, these begin at random, and nothing depends on them at first.
    narrower : keras.Model
        Of the same layers, with at most as many channels in each, which are convolutions, dense or normalize batches.
    """
    pairs = zip(wider.get_weights(), narrower.get_weights(), strict=True)
    wider.set_weights([_widened(new, old) for new, old in pairs])


def _widened(new: Float32, old: Float32) -> Float32:
    shared: tuple[Any, ...] = tuple(slice(size) for size in old.shape)
    widened = new.copy()
    if old.ndim > 1:  # a kernel: (…, channels in, channels out)
        widened[..., old.shape[-2] :, : old.shape[-1]] = np.float32(0)
    widened[shared] = old
    return widened
