"""Finds and loads models, by name, by path or from the configuration."""

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
"""Folder of the embedding, beside the bundles of kwsd."""

SAVED_MODEL_FILE = "saved_model.pb"
"""File in every SavedModel folder, from which TensorFlow recognises it."""

HEAD_BYTES = 16
"""Bytes at the start of a file that show its format."""

TFLITE_MARK = b"TFL3"
"""File identifier of TensorFlow Lite, at the fifth byte."""

HDF5_MARK = b"\x89HDF\r\n\x1a\n"
ZIP_MARK = b"PK\x03\x04"

SAVED_MODEL_MARK = b"\x08\x01\x12"
"""Start of a ``saved_model.pb``: the field ``saved_model_schema_version`` with the value 1, and a graph."""

GRAPH_MARK = b"\n"
"""Start of a frozen graph: the field ``node``."""

KERAS_EXPORT = "import sys, keras; keras.saving.load_model(sys.argv[1]).export(sys.argv[2])"
"""Program that turns a file of Keras into a SavedModel folder."""


def load_model(path: str | Path | None = None, labels: Sequence[str] = ()) -> Model:
    """Load a model.

    Parameters
    ----------
    path : str or Path, optional
        The name of an installed bundle, a bundle folder, a SavedModel folder, a ``.tflite`` file or a frozen graph.
        Without it, the default model.
    labels : sequence of str
        Labels of a model that does not contain them. Otherwise empty.

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
    """Find the folder or file of a model, by the name of an installed bundle or by path.

    A file inside a model stands for the folder of the model. In a folder of TensorFlow Serving, the newest version is
    the model.

    Raises
    ------
    ModelError
        There is no such model, or its path cannot be read.
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
    """Load the network of the embedding, which comes with kwsd.

    Raises
    ------
    ModelError
        The network is missing or damaged.
    """
    return load_embedding_network(_shipped_models() / EMBEDDING)


def installed_models() -> dict[str, Path]:
    """Return name and folder of each installed bundle. A bundle of the user hides a bundled one of the same name."""
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
    """Return the model of a configuration, with the thresholds of the configuration.

    Raises
    ------
    ModelError
        The model is missing or must not be used, or a threshold is for a word that the model does not know.
    """
    return load_model(config.model, config.labels).with_thresholds(config.thresholds)


def _shipped_models() -> Path:
    package = Path(__file__).parents[1]
    # An installation has the bundles inside the package, a source tree beside it.
    return package / "bundles" if (package / "bundles").is_dir() else package.parent / "models"


def _load_file(path: Path, labels: Sequence[str]) -> Model:
    """Load the model in a file whose format kwsd recognises by its content, or by its name."""
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
    """Return what else to name, if there is a model in a folder that is not a model itself."""
    inside = sorted(
        path for path in folder.iterdir() if path.suffix in {".tflite", ".keras", ".h5"} or is_model_folder(path)
    )
    return f". Did you mean {inside[0]}?" if inside else ""


def is_model_folder(path: Path) -> bool:
    """Whether a folder is a bundle or a SavedModel."""
    return is_present(path / bundle.MANIFEST) or is_present(path / SAVED_MODEL_FILE)


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
