"""Creation of runs from other runs without training.

A new run can have the mean weights of several runs, or fewer channels than another run.
"""

from collections.abc import Sequence
from itertools import pairwise
from operator import le
from pathlib import Path

import keras
import msgspec
import numpy as np

from kwsd.errors import OutputError, UsageError
from kwsd.frontend import BINS, FRAMES, Float32
from kwsd_train.networks import build_network
from kwsd_train.recipe import Resnet
from kwsd_train.training.run_folder import (
    NETWORK_FILE,
    RunSettings,
    create_run_folder,
    load_network,
    read_run_settings,
    save_network,
)
from kwsd_train.training.takeover import can_take_over, take_over_weights

NO_EXAMPLES: Float32 = np.zeros((0, FRAMES, BINS), np.float32)
"""Empty array of examples for networks that do not compute constants from examples."""


def average_runs(runs: Sequence[Path], run: Path) -> None:
    """Make a run whose weights are the mean of other runs (Wortsman et al., "Model soups", arXiv:2203.05482).

    Parameters
    ----------
    runs : sequence of Path
        Folders of the averaged runs. Each run must have started with the weights of the previous run in this sequence.
        A mean of the weights of unrelated runs is meaningless. The new run has the settings of the last run, which must
        have the most channels.
    run : Path
        Path of the new run folder.

    Raises
    ------
    UsageError
        A run did not start with the weights of the previous run, has more channels than the last run, or lacks a
        finished epoch.
    OutputError
        The run folder already exists or cannot be created.
    """
    for before, each in pairwise(runs):
        if read_run_settings(each).after != before.absolute().name:
            raise UsageError(f"{each} did not start with the weights of {before}: the mean would be meaningless")
    settings, network = read_run_settings(runs[-1]), load_network(runs[-1])
    for each in runs:
        if not can_take_over(read_run_settings(each).recipe, settings.recipe):
            raise UsageError(f"{each} has more channels than {runs[-1]}: put the run with the most channels last")
    weights_of_runs = [_widen(load_network(each), settings) for each in runs]
    network.set_weights([np.mean(weights, axis=0) for weights in zip(*weights_of_runs, strict=True)])
    _write_run(run, msgspec.structs.replace(settings, averaged=[each.name for each in runs]), network)


def cut_channels(run: Path, channels: Sequence[int], smaller: Path) -> None:
    """Make a run from another run by removing the last channels of each stage of the run's `resnet`.

    A later round of training adds channels at the end of each stage. The added channels may improve the accuracy too
    little to justify their computing time.

    Parameters
    ----------
    run : Path
        Folder of the original run.
    channels : sequence of int
        Number of channels that are kept in the first convolution and in each stage.
    smaller : Path
        Path of the new run folder.

    Raises
    ------
    UsageError
        - The run does not have a finished epoch.
        - The network is not a `resnet`, or its number of stages does not match the length of `channels`.
        - A number in `channels` is higher than in the network, or all numbers are equal to those of the network.
    OutputError
        The run folder already exists or cannot be created.
    """
    settings = read_run_settings(run)
    before = settings.recipe.network
    if not isinstance(before, Resnet):
        raise UsageError(f"the network of {run} is not a resnet: only the channels of a resnet can be cut")
    fits = len(channels) == len(before.channels) and all(map(le, channels, before.channels))
    if not fits or list(channels) == before.channels:
        raise UsageError(
            f"the network of {run} has channels {before.channels}: give as many numbers, none higher, some lower"
        )
    recipe = msgspec.structs.replace(settings.recipe, network=msgspec.structs.replace(before, channels=list(channels)))
    network = build_network(recipe.network, len(settings.labels), NO_EXAMPLES)
    take_over_weights(network, load_network(run))
    _write_run(smaller, msgspec.structs.replace(settings, recipe=recipe, cut=settings.cut or before.channels), network)


def _write_run(run: Path, settings: RunSettings, network: keras.Model) -> None:
    create_run_folder(run, settings)
    try:
        save_network(network, run / NETWORK_FILE)
    except OSError as error:
        raise OutputError(f"cannot write the network into {run}: {error.strerror}") from None


def _widen(network: keras.Model, settings: RunSettings) -> list[Float32]:
    """Return the weights of an equivalent network that has the number of channels in the given settings."""
    keras.utils.set_random_seed(settings.recipe.seed)  # the added channels are those that the wide run started with
    wide = build_network(settings.recipe.network, len(settings.labels), NO_EXAMPLES)
    take_over_weights(wide, network)
    weights: list[Float32] = wide.get_weights()
    return weights
