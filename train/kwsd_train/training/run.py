"""The run folder: what a training run writes, and how it is read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import msgspec

from kwsd.errors import OutputError, UsageError
from kwsd_train.recipe import Recipe
from kwsd_train.training.curves import History

SETTINGS, HISTORY, NETWORK = "settings.json", "history.json", "network.keras"


class RunSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``settings.json``.

    Parameters
    ----------
    clips : dict
        Clips by split and word.
    listing_sha256 : str
        Of the sorted names of all clips, one a line: says whether two runs saw the same data.
    skipped : list of str
        Why files were left out, one sentence a file.
    after : str
        Name of the run whose weights this one began with, if any.
    averaged : list of str
        Names of the runs whose weights this one has the mean of, if any.
    cut : list of int
        Channels that the network had before some were cut off, if any were.
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
    averaged: list[str] = []
    cut: list[int] = []


def new_id(recipe: Recipe) -> str:
    """Name of a new run's folder: the recipe's, and the time (UTC)."""
    return f"{recipe.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def read_settings(run: Path) -> RunSettings:
    """The settings of a run.

    Raises
    ------
    UsageError
        The folder is no run, or its settings are damaged.
    """
    try:
        return msgspec.json.decode((run / SETTINGS).read_bytes(), type=RunSettings)
    except OSError as error:
        raise UsageError(f"{run} is no run folder: cannot read {SETTINGS}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{run / SETTINGS} is damaged: {error}") from None


def read_history(run: Path) -> History:
    """The figures of a run's finished epochs, in order.

    Raises
    ------
    UsageError
        The figures cannot be read, or are damaged.
    """
    path = run / HISTORY
    try:
        return msgspec.json.decode(path.read_bytes(), type=History)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is damaged: {error}") from None


def last_checkpoint(run: Path) -> Path | None:
    """The newest finished epoch of a run."""
    return max(run.glob("epoch-*.keras"), default=None)


def load_network(run: Path) -> keras.Model:
    """The finished network of a run, or the newest checkpoint of one under way.

    Raises
    ------
    UsageError
        The run has no finished epoch yet, or its network is damaged.
    """
    path = run / NETWORK if (run / NETWORK).exists() else last_checkpoint(run)
    if path is None:
        raise UsageError(f"{run} has no finished epoch yet")
    return _load_file(path, compile=False)


def _load_file(path: Path, *, compile: bool) -> keras.Model:  # noqa: A002  as Keras calls it
    try:
        return keras.models.load_model(path, compile=compile)
    except (OSError, ValueError, KeyError, BadZipFile):  # all of which Keras raises, and its reasons mislead
        raise UsageError(f"{path} is damaged: it is no network that Keras can read") from None


def _write(run: Path, settings: RunSettings, network: keras.Model) -> None:
    """Make the folder of a run that was not trained but made of others."""
    try:
        run.mkdir(parents=True)
        (run / SETTINGS).write_bytes(_json(settings))
        network.save(run / NETWORK)
    except OSError as error:
        raise OutputError(f"cannot make the run folder {run}: {error.strerror}") from None


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
