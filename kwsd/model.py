"""Models: what turns a window into scores. Bundles run on LiteRT; SavedModel folders are left to `kwsd.savedmodel`."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import platformdirs

from kwsd import bundle, frontend
from kwsd.bundle import DetectorSettings
from kwsd.errors import ModelError
from kwsd.frontend import Float32

DEFAULT_MODEL = "default"


class Window(NamedTuple):
    """One second of audio in both of its forms.

    Parameters
    ----------
    samples : ndarray, shape (16000,), float32 in [-1, 1]
    spectrogram : ndarray, shape (124, 129), float32
        `kwsd.frontend.spectrogram` of the samples.
    """

    samples: Float32
    spectrogram: Float32


class Model(ABC):
    """A network with its labels and the settings to decide on its scores.

    Attributes
    ----------
    name : str
    labels : tuple of str
        Meaning of the scores, in order.
    hop_samples : int
        Samples from one window to the next.
    detector : DetectorSettings
    """

    name: str
    labels: tuple[str, ...]
    hop_samples: int
    detector: DetectorSettings

    @property
    def keywords(self) -> tuple[str, ...]:
        """Labels that become events."""
        return tuple(label for label in self.labels if label not in bundle.RESERVED_LABELS)

    @abstractmethod
    def scores(self, window: Window) -> Float32:
        """Probability of each label: shape (labels,), float32."""

    def predict(self, waveforms: Float32) -> Float32:
        """Scores of whole windows.

        Parameters
        ----------
        waveforms : ndarray, shape (n, 16000), float32 in [-1, 1], 16 kHz mono

        Returns
        -------
        ndarray, shape (n, labels), float32
            Probabilities.

        Raises
        ------
        ValueError
            The waveforms have another shape.
        """
        waveforms = np.asarray(waveforms, np.float32)
        if waveforms.shape != (len(waveforms), frontend.WINDOW_SAMPLES):
            raise ValueError(f"waveforms have shape {waveforms.shape}, not (n, {frontend.WINDOW_SAMPLES})")
        scores = np.empty((len(waveforms), len(self.labels)), np.float32)
        for row, samples in zip(scores, waveforms, strict=True):
            row[:] = self.scores(Window(samples, frontend.spectrogram(samples)))
        return scores

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords.

        Raises
        ------
        ModelError
            A word is no keyword of this model.
        """
        for word in thresholds:
            if word not in self.keywords:
                raise ModelError(
                    f"model {self.name} has no keyword {word!r}: its keywords are {' '.join(self.keywords)}"
                )
        merged = self.detector.thresholds | thresholds
        self.detector = msgspec.structs.replace(self.detector, thresholds=merged)


class BundleModel(Model):
    """A bundle, run by LiteRT on one thread.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ModelError
        The bundle must not be used; see `kwsd.bundle.read_bundle`.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle = bundle.read_bundle(folder)
        self.name = self.bundle.name
        self.labels = tuple(self.bundle.labels)
        self.hop_samples = self.bundle.hop_samples
        self.detector = self.bundle.detector
        self._interpreter = _interpreter(folder / bundle.NETWORK)
        self._input = self._tensor(
            self._interpreter.get_input_details()[0], (1, frontend.FRAMES, frontend.BINS), folder
        )
        self._output = self._tensor(self._interpreter.get_output_details()[0], (1, len(self.labels)), folder)
        self._scores_of_zeros = self._run(np.zeros((frontend.FRAMES, frontend.BINS), np.float32))

    def scores(self, window: Window) -> Float32:
        """Output of the network: shape (labels,), float32."""
        # A muted source delivers zeros, for hours: the answer to them is known.
        return self._run(window.spectrogram) if window.spectrogram.any() else self._scores_of_zeros

    def _run(self, spectrogram: Float32) -> Float32:
        self._interpreter.set_tensor(self._input, spectrogram[np.newaxis])
        self._interpreter.invoke()
        scores: Float32 = self._interpreter.get_tensor(self._output)[0]
        return scores

    @staticmethod
    def _tensor(details: dict[str, Any], shape: tuple[int, ...], folder: Path) -> int:
        found = tuple(int(size) for size in details["shape"])
        if found != shape or details["dtype"] is not np.float32:
            name, dtype = details["name"], np.dtype(details["dtype"])
            raise ModelError(f"{folder}: tensor {name} is {dtype} {found}, kwsd needs float32 {shape}")
        return int(details["index"])


def load_model(path: str | Path | None = None, labels: Sequence[str] = ()) -> Model:
    """Load a model.

    Parameters
    ----------
    path : str or Path, optional
        A bundle folder, a SavedModel folder, or the name of an installed bundle; the default model without it.
    labels : sequence of str
        Labels of a SavedModel that does not hold them; empty otherwise.

    Raises
    ------
    ModelError
        There is no such model, or it must not be used.
    """
    folder = find_model(str(path or DEFAULT_MODEL))
    if (folder / bundle.MANIFEST).exists():
        if labels:
            raise ModelError(f"{folder} is a bundle, which knows its labels: leave out --labels")
        return BundleModel(folder)
    if (folder / "saved_model.pb").exists():
        from kwsd.savedmodel import SavedModel  # noqa: PLC0415  TensorFlow is loaded only for a SavedModel

        return SavedModel(folder, labels)
    raise ModelError(f"{folder} is no model: it holds neither {bundle.MANIFEST} nor saved_model.pb")


def find_model(path_or_name: str) -> Path:
    """Folder of a model, by the name of an installed bundle or by path.

    Raises
    ------
    ModelError
        There is none.
    """
    models = installed_models()
    # Names first: a folder called "default" in the working directory is no reason to look for a model there.
    if path_or_name in models:
        return models[path_or_name]
    path = Path(os.path.expanduser(path_or_name))  # noqa: PTH111  pathlib raises where there is no such home
    if path.is_dir():
        return path
    if path.name != path_or_name:
        raise ModelError(f"there is no model folder {path}")
    raise ModelError(f"there is no model {path_or_name!r}: installed are {' '.join(models) or 'none'}")


def installed_models() -> dict[str, Path]:
    """Bundles that can be asked for by name: those that came with kwsd, and the user's own, which go first."""
    package = Path(__file__).parent
    # In an installation the bundles lie inside the package; in a source tree, beside it.
    ours = package / "models" if (package / "models").is_dir() else package.parent / "models"
    shelves = [ours, platformdirs.user_data_path("kwsd") / "models"]
    found = {
        manifest.parent.name: manifest.parent for shelf in shelves for manifest in shelf.glob(f"*/{bundle.MANIFEST}")
    }
    return dict(sorted(found.items()))


def _interpreter(path: Path) -> Any:  # noqa: ANN401  LiteRT has no type information
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  takes 0.1 s, which `kwsd --help` need not pay

    try:
        with _quiet():
            interpreter = Interpreter(str(path), num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is no network that LiteRT can run: {error}") from None
    return interpreter


@contextmanager
def _quiet() -> Iterator[None]:
    """Close standard error to LiteRT, which announces its delegate there and has no switch for it."""
    stderr = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
