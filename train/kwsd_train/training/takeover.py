"""A network takes over what another one, of the same layers, has learned."""

from typing import Any

import keras
import numpy as np

from kwsd.frontend import Float32


def take_over(new: keras.Model, old: keras.Model) -> None:
    """Give a new network the weights of a trained one, as far as both have the channels.

    With more channels it computes at first what the trained one does, as in Net2Net (Chen et al., arXiv:1511.05641):
    the added ones begin at random, and nothing depends on them. With fewer, the last ones are cut off, which are those
    that were added, if any were.

    Parameters
    ----------
    new : keras.Model
        Not trained yet.
    old : keras.Model
        Of the same layers, which are convolutions, dense or normalize batches.
    """
    pairs = zip(new.get_weights(), old.get_weights(), strict=True)
    new.set_weights([_taken_over(initial, learned) for initial, learned in pairs])


def _taken_over(initial: Float32, learned: Float32) -> Float32:
    both: tuple[Any, ...] = tuple(slice(min(sizes)) for sizes in zip(initial.shape, learned.shape, strict=True))
    taken = initial.copy()
    if learned.ndim > 1:  # a kernel: (…, channels in, channels out)
        taken[..., learned.shape[-2] :, : learned.shape[-1]] = np.float32(0)
    taken[both] = learned[both]
    return taken
