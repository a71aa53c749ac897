"""Finds and loads models by name, by path or with the settings of the configuration."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kwsd.config.schema import DEFAULT_MODEL, Config
from kwsd.errors import ModelError
from kwsd.files import find_user_folder, is_present, read_start
from kwsd.models import bundle
from kwsd.models.embedding import EmbeddingNetwork, load_embedding_network
from kwsd.models.litert import load_bundle_model, load_tflite_model
from kwsd.models.model import Model

EMBEDDING = "embedding"
"""Folder of the embedding, which is next to the bundles of kwsd."""

SAVED_MODEL_FILE = "saved_model.pb"
"""Name of the file by which TensorFlow recognises a SavedModel folder."""

HEAD_BYTES = 16
"""Number of bytes at the start of a file from which kwsd recognises the file format."""

TFLITE_MARK = b"TFL3"
"""File identifier of TensorFlow Lite, which starts at the fifth byte of a file."""

HDF5_MARK = b"\x89HDF\r\n\x1a\n"
ZIP_MARK = b"PK\x03\x04"

SAVED_MODEL_MARK = b"\x08\x01\x12"
"""First bytes of a ``saved_model.pb`` file: the field ``saved_model_schema_version`` with the value 1, and a graph."""

GRAPH_MARK = b"\n"
"""First byte of a frozen graph, which is the start of the field ``node``."""

KERAS_EXPORT = "import sys, keras; keras.saving.load_model(sys.argv[1]).export(sys.argv[2])"
"""Python program that converts a Keras file to a SavedModel folder."""


def load_model(path: str | Path | None = None, labels: Sequence[str] = ()) -> Model:
    """Load the model with a given name or path.

    Parameters
    ----------
    path : str or Path, optional
        The name of an installed bundle, a bundle folder, a SavedModel folder, a ``.tflite`` file or a frozen graph.
        Without a path, kwsd loads the default model.
    labels : sequence of str
        Labels for a model that does not contain its own labels. For all other models, `labels` must be empty.

    Raises
    ------
    ModelError
        The model is missing, or kwsd refuses to use it.

    Examples
    --------
    >>> model = kwsd.load_model()
    >>> model.keywords
    ('down', 'go', 'left', 'no', 'right', 'stop', 'up', 'yes')
    """
    found = find_model(str(path or DEFAULT_MODEL))
    if is_present(found / bundle.MANIFEST):
        if labels:
            raise ModelError(f"{found} is a bundle and contains its labels: leave out --labels")
        return load_bundle_model(found, trusted=found.parent == _shipped_models())
    if is_present(found / SAVED_MODEL_FILE):
        from kwsd.models.savedmodel import load_saved_model  # noqa: PLC0415  TensorFlow is loaded only for its models

        return load_saved_model(found, labels)
    if found.is_dir():
        raise ModelError(
            f"{found} is not a model: it contains neither {bundle.MANIFEST} nor {SAVED_MODEL_FILE}{_hint(found)}"
        )
    return _load_file(found, labels)


def find_model(path_or_name: str) -> Path:
    """Return the folder or file of a model, which is given by path or by the name of an installed bundle.

    If the path leads to a file inside a model folder, the function returns the model folder. If the path leads to a
    folder of TensorFlow Serving, the function returns the newest version in this folder.

    Raises
    ------
    ModelError
        The model does not exist, or its path cannot be read.
    """
    models = installed_models()
    # Names first: a folder "default" in the working directory must not hide the default model.
    if path_or_name in models:
        return models[path_or_name]
    path = Path(os.path.expanduser(path_or_name))  # noqa: PTH111  pathlib raises if there is no such home
    try:
        path.stat()
        # Fails if the user may not enter the folder, which would otherwise look empty.
        names = os.listdir(path) if path.is_dir() else []  # noqa: PTH208  sorted names are not needed
    except (FileNotFoundError, NotADirectoryError, ValueError):
        if path.name != path_or_name:
            raise ModelError(f"there is no model folder {path}, and no file of this name") from None
        raise ModelError(f"there is no model {path_or_name!r}: installed are {' '.join(models) or 'none'}") from None
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None
    if path.name in {SAVED_MODEL_FILE, bundle.MANIFEST} and not names and not path.is_dir():
        return path.parent
    versions = [name for name in names if name.isdecimal() and is_present(path / name / SAVED_MODEL_FILE)]
    if versions and not {SAVED_MODEL_FILE, bundle.MANIFEST} & set(names):
        return path / max(versions, key=int)
    return path


def load_embedding() -> EmbeddingNetwork:
    """Load the network of the embedding, which is a part of the kwsd installation.

    Raises
    ------
    ModelError
        The network file is missing or damaged.
    """
    return load_embedding_network(_shipped_models() / EMBEDDING)


def installed_models() -> dict[str, Path]:
    """Return the name and the folder of each installed bundle.

    If a user's bundle has the name of a bundle in kwsd, only the user's bundle is returned.
    """
    users = find_user_folder("data")
    folders = [_shipped_models(), users / "models"] if users else [_shipped_models()]
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            names = [entry.name for entry in os.scandir(folder)]
        except OSError:
            continue  # most users have no models of their own
        found |= {name: folder / name for name in names if is_present(folder / name / bundle.MANIFEST)}
    return dict(sorted(found.items()))


def configured_model(config: Config) -> Model:
    """Return the model that a configuration names, with the thresholds of this configuration.

    Raises
    ------
    ModelError
        The model is missing, kwsd refuses to use it, or a threshold is set for a word that the model does not know.
    """
    return load_model(config.model, config.labels).with_thresholds(config.thresholds)


def _shipped_models() -> Path:
    package = Path(__file__).parents[1]
    # An installation has the bundles inside the package, a source tree beside it.
    return package / "bundles" if (package / "bundles").is_dir() else package.parent / "models"


def _load_file(path: Path, labels: Sequence[str]) -> Model:
    """Load a model from a single file. The content or the name of the file determines its format."""
    head = _read_head(path)
    if head[4:8] == TFLITE_MARK:
        return load_tflite_model(path, labels)
    if head.startswith(HDF5_MARK) or path.suffix in {".keras", ".h5", ".hdf5"}:
        _refuse_keras_file(path)
    if path.suffix == ".pb" and head.startswith(GRAPH_MARK):
        from kwsd.models.savedmodel import load_frozen_graph  # noqa: PLC0415  TensorFlow is loaded only for its models

        return load_frozen_graph(path, labels)
    if head.startswith(SAVED_MODEL_MARK):
        raise ModelError(f"{path} is the graph of a SavedModel: name it {SAVED_MODEL_FILE} and give its folder")
    if path.suffix == ".tflite":
        raise ModelError(f"{path} is not a network that LiteRT can run: it does not begin as a .tflite file does")
    if path.suffix == ".onnx":
        raise ModelError(f"{path} is a network in ONNX: convert it to a SavedModel with  onnx2tf -i {_quote(path)}")
    if path.suffix in {".pt", ".pth", ".ckpt"} or head.startswith(ZIP_MARK):
        raise ModelError(f"{path} holds a network of PyTorch or another library: convert it to a .tflite file first")
    raise ModelError(f"{path} is not a model: kwsd takes bundles, SavedModel folders, .tflite files and frozen graphs")


def _read_head(path: Path) -> bytes:
    try:
        return read_start(path, HEAD_BYTES)
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None


def _refuse_keras_file(path: Path) -> NoReturn:
    folder = path.with_suffix("")
    command = f"python3 -c {shlex.quote(KERAS_EXPORT)} {_quote(path)} {_quote(folder)}"
    raise ModelError(f"{path} is a file of Keras: make a SavedModel of it with  {command}  and use --model {folder}")


def _hint(folder: Path) -> str:
    """Return a hint for the user if a folder is not a model but contains a model."""
    inside = sorted(
        path for path in folder.iterdir() if path.suffix in {".tflite", ".keras", ".h5"} or is_model_folder(path)
    )
    return f". Did you mean {inside[0]}?" if inside else ""


def is_model_folder(path: Path) -> bool:
    """Whether a folder is a model bundle or a SavedModel."""
    return is_present(path / bundle.MANIFEST) or is_present(path / SAVED_MODEL_FILE)


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
