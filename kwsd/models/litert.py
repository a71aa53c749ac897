"""Bundles, run by LiteRT."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kwsd import frontend
from kwsd.errors import ModelError
from kwsd.frontend import Float32
from kwsd.models import bundle
from kwsd.models.model import Model, Window


class BundleModel(Model):
    """A bundle, run by LiteRT on one thread.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    ModelError
        The bundle must not be used; see `kwsd.models.bundle.read_bundle`.
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
