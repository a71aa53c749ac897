"""Finds and loads models, by name, by path or from the configuration."""

import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from kwsd.config.schema import DEFAULT_MODEL, Config
from kwsd.errors import ModelError
from kwsd.models import bundle
from kwsd.models.litert import load_bundle_model
from kwsd.models.model import Model


def load_model(path: str | Path | None = None, labels: Sequence[str] = ()) -> Model:
    """Load a model.

    Parameters
    ----------
    path : str or Path, optional
        A bundle folder, a SavedModel folder, or the name of an installed bundle. Without it, the default model.
    labels : sequence of str
        Labels of a SavedModel that does not contain them. Otherwise empty.

    Raises
    ------
    ModelError
        The model is missing, or it must not be used.

    Examples
    --------
    >>> model = kwsd.load_model()
    >>> model.keywords
    ('down', 'go', 'left', 'no', 'right', 'stop', 'up', 'yes')
    """
    folder = find_model(str(path or DEFAULT_MODEL))
    if (folder / bundle.MANIFEST).exists():
        if labels:
            raise ModelError(f"{folder} is a bundle and contains its labels: leave out --labels")
        return load_bundle_model(folder)
    if (folder / "saved_model.pb").exists():
        from kwsd.models.savedmodel import load_saved_model  # noqa: PLC0415  TensorFlow is loaded only for a SavedModel

        return load_saved_model(folder, labels)
    raise ModelError(f"{folder} is not a model: it contains neither {bundle.MANIFEST} nor saved_model.pb")


def find_model(path_or_name: str) -> Path:
    """Folder of a model, by the name of an installed bundle or by path.

    Raises
    ------
    ModelError
        There is none.
    """
    models = installed_models()
    # Names first: a folder "default" in the working directory must not hide the default model.
    if path_or_name in models:
        return models[path_or_name]
    path = Path(os.path.expanduser(path_or_name))  # noqa: PTH111  pathlib raises if there is no such home
    if path.is_dir():
        return path
    if path.name != path_or_name:
        raise ModelError(f"there is no model folder {path}")
    raise ModelError(f"there is no model {path_or_name!r}: installed are {' '.join(models) or 'none'}")


def installed_models() -> dict[str, Path]:
    """Return name and folder of each installed bundle. A bundle of the user hides a bundled one of the same name."""
    package = Path(__file__).parents[1]
    # An installation has the bundles inside the package, a source tree beside it.
    ours = package / "bundles" if (package / "bundles").is_dir() else package.parent / "models"
    folders = [ours, platformdirs.user_data_path("kwsd") / "models"]
    found = {
        manifest.parent.name: manifest.parent for folder in folders for manifest in folder.glob(f"*/{bundle.MANIFEST}")
    }
    return dict(sorted(found.items()))


def configured_model(config: Config) -> Model:
    """Return the model of a configuration, with the thresholds of the configuration.

    Raises
    ------
    ModelError
        The model is missing or must not be used, or a threshold is for a word that the model does not know.
    """
    return load_model(config.model, config.labels).with_thresholds(config.thresholds)
