"""The run folder, which contains the files of a training run, and functions that write and read these files."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import msgspec

from kwsd.errors import OutputError, UsageError
from kwsd.models.bundle import keywords_among
from kwsd_train.recipe import Recipe

SETTINGS_FILE, HISTORY_FILE, NETWORK_FILE = "settings.json", "history.json", "network.keras"

History = list[dict[str, float]]
"""Figures of the finished epochs, in order of the epochs.

The figures of an epoch are its loss and accuracy on training and validation data, and its duration in seconds.
"""


class RunSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file ``settings.json`` in a run folder.

    Parameters
    ----------
    data : str
        Path of the data folder.
    labels : list of str
        Labels of the network's outputs, in order.
    started : str
        Start time of the run (UTC) in ISO 8601 format.
    clips : dict
        Number of clips for each split and word.
    listing_sha256 : str
        SHA-256 of the sorted names of all clips. If the hashes of two runs are equal, the two runs used clips with
        identical names.
    skipped : list of str
        One sentence for each sound file that was skipped.
    versions : dict
        Versions of Python and of the libraries that the run used.
    after : str
        Name of the run whose weights this run started with. The name is empty if the run started with random weights.
    after_path : str
        Path of the folder of the run `after`, or an empty string. Runs of kwsd 0.1.0 store only the name of the run
        `after`.
    averaged : list of str
        Names of the runs whose weights were averaged. The list of names is empty if weights were not averaged.
    cut : list of int
        Numbers of channels that the original network had before channels were removed. The list is empty if channels
        were not removed.
    """

    recipe: Recipe
    data: str
    labels: list[str]
    started: str
    clips: dict[str, dict[str, int]]
    listing_sha256: str
    skipped: list[str]
    versions: dict[str, str]
    after: str = ""
    after_path: str = ""
    averaged: list[str] = []
    cut: list[int] = []

    @property
    def keywords(self) -> list[str]:
        """Return the labels that are keywords, whose detections become events."""
        return keywords_among(self.labels)

    @property
    def is_derived(self) -> bool:
        """Whether the run was made from other runs instead of by training."""
        return bool(self.averaged or self.cut)


def new_run_name(recipe: Recipe) -> str:
    """Return a name for the folder of a new run: the recipe's name and the time (UTC)."""
    return f"{recipe.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def create_run_folder(run: Path, settings: RunSettings) -> None:
    """Create a run folder and write the settings of the run.

    Raises
    ------
    OutputError
        The folder already exists or cannot be created.
    """
    try:
        run.mkdir(parents=True)
        (run / SETTINGS_FILE).write_bytes(encode_json(settings))
    except OSError as error:
        raise OutputError(f"cannot create the run folder {run}: {error.strerror}") from None


def read_run_settings(run: Path) -> RunSettings:
    """Read the settings of a run from its folder.

    Raises
    ------
    UsageError
        The folder is not a run folder, or its settings file is damaged.
    """
    try:
        return msgspec.json.decode((run / SETTINGS_FILE).read_bytes(), type=RunSettings)
    except OSError as error:
        raise UsageError(f"{run} is not a run folder: cannot read {SETTINGS_FILE}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{run / SETTINGS_FILE} is damaged: {error}") from None


def read_run_history(run: Path) -> History:
    """Read the figures of a run's finished epochs, in order.

    Raises
    ------
    UsageError
        The file with the figures cannot be read or is damaged.
    """
    path = run / HISTORY_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=History)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is damaged: {error}") from None


def last_checkpoint(run: Path) -> Path | None:
    """Return the path of the checkpoint of the newest finished epoch, or None if a checkpoint does not exist."""
    return max(run.glob("epoch-*.keras"), default=None)


def load_network(run: Path) -> keras.Model:
    """Load the finished network of a run. If the run is not finished, load the run's newest checkpoint.

    If the recipe sets `averaging`, the loaded network has the averaged weights.

    Raises
    ------
    UsageError
        The run has not finished an epoch yet, or the file of its network is damaged.
    """
    if (run / NETWORK_FILE).exists():
        return load_network_file(run / NETWORK_FILE, compile=False)
    checkpoint = last_checkpoint(run)
    if checkpoint is None:
        raise UsageError(f"{run} has no finished epoch yet")
    network = load_network_file(checkpoint, compile=False)
    with use_averaged_weights(load_network_file(checkpoint, compile=True)) as averaged:
        network.set_weights(averaged.get_weights())
    return network


def load_network_file(path: Path, *, compile: bool) -> keras.Model:  # noqa: A002  Keras' name
    """Load a network from a file. If `compile` is true, the state of the network's optimizer is loaded too.

    Raises
    ------
    UsageError
        The file of the network is damaged.
    """
    try:
        return keras.models.load_model(path, compile=compile)
    except (OSError, ValueError, KeyError, BadZipFile):  # Keras raises all of these, and its messages mislead
        raise UsageError(f"{path} is damaged: Keras cannot read it as a network") from None


@contextmanager
def use_averaged_weights(network: keras.Model) -> Iterator[keras.Model]:
    """Give a compiled network its averaged weights until the context ends, and then restore the original weights.

    Without a moving average of the weights, the network stays unchanged.
    """
    weights = network.get_weights()
    network.optimizer.finalize_variable_values(network.trainable_variables)
    try:
        yield network
    finally:
        network.set_weights(weights)


def save_network(network: keras.Model, path: Path) -> None:
    """Write a network to a file atomically.

    If the process is killed, a partly written file with the name `path` does not remain.
    """
    unfinished = path.with_name("unfinished.keras")  # Keras chooses the format by the suffix
    network.save(unfinished)
    unfinished.replace(path)


def encode_json(value: Any) -> bytes:
    """Return a value encoded as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
