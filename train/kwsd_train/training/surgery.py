"""Networks made of others without training: the mean of several, and one with channels cut off."""

from collections.abc import Sequence
from itertools import pairwise
from operator import le
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np

from kwsd.errors import UsageError
from kwsd.frontend import BINS, FRAMES, Float32
from kwsd_train import networks
from kwsd_train.recipe import REGULARIZATION, Network, Recipe, Resnet
from kwsd_train.training.run import RunSettings, _write, load_network, read_settings
from kwsd_train.training.takeover import take_over

NOTHING: Float32 = np.zeros((0, FRAMES, BINS), np.float32)
"""For networks that take nothing from examples."""


def average(runs: Sequence[Path], run: Path) -> None:
    """Make a run whose weights are the mean of those of others (Wortsman et al., "Model soups", arXiv:2203.05482).

    Parameters
    ----------
    runs : sequence of Path
        Runs that went on from one another, in that order: only then do their weights mean the same. The last has the
        settings, and at least as many channels as the others.
    run : Path
        The new run folder.

    Raises
    ------
    UsageError
        A run did not begin with the weights of the one before it, has more channels than the last, or has no finished
        epoch.
    OutputError
        The run folder exists already or cannot be made.
    """
    for before, each in pairwise(runs):
        if read_settings(each).after != before.name:
            raise UsageError(f"{each} did not go on from {before}: the mean of their weights means nothing")
    settings, network = read_settings(runs[-1]), load_network(runs[-1])
    for each in runs:
        if not _can_take_over(read_settings(each).recipe, settings.recipe):
            raise UsageError(f"{each} has more channels than {runs[-1]}: they would be cut off")
    networks_of = [_as_wide(load_network(each), settings) for each in runs]
    network.set_weights([np.mean(weights, axis=0) for weights in zip(*networks_of, strict=True)])
    _write(run, msgspec.structs.replace(settings, averaged=[each.name for each in runs]), network)


def cut(run: Path, channels: Sequence[int], smaller: Path) -> None:
    """Make a run of another one by cutting the last channels off each stage of its network, a `resnet`.

    Channels that a round of training added lie last, and may have learned nothing that is worth their time.

    Parameters
    ----------
    run : Path
    channels : sequence of int
        What is left of the first convolution and of each stage.
    smaller : Path
        The new run folder.

    Raises
    ------
    UsageError
        The network is no `resnet` with so many stages and more channels, or the run has no finished epoch.
    OutputError
        The run folder exists already or cannot be made.
    """
    settings = read_settings(run)
    before = settings.recipe.network
    if not isinstance(before, Resnet):
        raise UsageError(f"the network of {run} is no resnet: nothing can be cut off it")
    fits = len(channels) == len(before.channels) and all(map(le, channels, before.channels))
    if not fits or list(channels) == before.channels:
        raise UsageError(f"the network of {run} has channels {before.channels}: give as many, none higher, some lower")
    recipe = msgspec.structs.replace(settings.recipe, network=msgspec.structs.replace(before, channels=list(channels)))
    cut_off = msgspec.structs.replace(settings, recipe=recipe, cut=settings.cut or before.channels)
    network = networks.build(recipe.network, len(settings.labels), NOTHING)
    take_over(network, load_network(run))
    _write(smaller, cut_off, network)


def _as_wide(network: keras.Model, settings: RunSettings) -> list[Float32]:
    """Weights of a network with the channels of these settings that computes the same."""
    keras.utils.set_random_seed(settings.recipe.seed)  # the added channels are those that the wide run began with
    wide = networks.build(settings.recipe.network, len(settings.labels), NOTHING)
    take_over(wide, network)
    weights: list[Float32] = wide.get_weights()
    return weights


def _can_take_over(before: Recipe, recipe: Recipe) -> bool:
    """Whether the networks differ at most in settings that act in training only, and in channels that are added."""
    old, new = before.network, recipe.network
    if isinstance(old, Resnet) and isinstance(new, Resnet) and len(old.channels) == len(new.channels):
        return all(narrow <= wide for narrow, wide in zip(old.channels, new.channels, strict=True))
    return _architecture(old) == _architecture(new)


def _architecture(network: Network) -> dict[str, Any]:
    """What makes the weights of two networks interchangeable."""
    settings: dict[str, Any] = msgspec.to_builtins(network)
    return {name: value for name, value in settings.items() if name not in REGULARIZATION}
