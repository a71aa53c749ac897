"""The network of a bundle, run by LiteRT on one thread."""

from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import ModelError
from kwsd.frontend import BINS, FRAMES, Float32
from kwsd.log import silence_stderr
from kwsd.models.bundle import NETWORK, read_bundle
from kwsd.models.model import Model, Window


class LiteRTNetwork:
    """A TensorFlow Lite file that takes one spectrogram and returns probabilities.

    Parameters
    ----------
    path : Path
    labels : int
        Number of outputs.

    Raises
    ------
    ModelError
        LiteRT cannot run the file, or the file has another input or output.
    """

    def __init__(self, path: Path, labels: int) -> None:
        self._interpreter = _interpreter(path)
        self._input = _tensor_index(self._interpreter.get_input_details()[0], (1, FRAMES, BINS), path)
        self._output = _tensor_index(self._interpreter.get_output_details()[0], (1, labels), path)

    def scores(self, window: Window) -> Float32:
        """Return the output of the network: shape (labels,), float32."""
        self._interpreter.set_tensor(self._input, window.spectrogram[np.newaxis])
        self._interpreter.invoke()
        scores: Float32 = self._interpreter.get_tensor(self._output)[0]
        return scores


def load_bundle_model(folder: Path) -> Model:
    """Load the model of a bundle.

    Raises
    ------
    ModelError
        The bundle must not be used; see `kwsd.models.bundle.read_bundle`.
    """
    bundle = read_bundle(folder)
    network = LiteRTNetwork(folder / NETWORK, len(bundle.labels))
    return Model(bundle.name, tuple(bundle.labels), bundle.hop_samples, bundle.detector, network)


def _interpreter(path: Path) -> Any:  # noqa: ANN401  LiteRT has no type information
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  takes 0.1 s, which `kwsd --help` need not pay

    try:
        # LiteRT announces its delegate on standard error and has no option against it.
        with silence_stderr():
            interpreter = Interpreter(str(path), num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is not a network that LiteRT can run: {error}") from None
    return interpreter


def _tensor_index(details: dict[str, Any], shape: tuple[int, ...], path: Path) -> int:
    """Return the index of a tensor, after a check of its shape and type."""
    found = tuple(int(size) for size in details["shape"])
    if found != shape or details["dtype"] is not np.float32:
        name, dtype = details["name"], np.dtype(details["dtype"])
        raise ModelError(f"{path}: tensor {name} is {dtype} {found}, kwsd needs float32 {shape}")
    return int(details["index"])
