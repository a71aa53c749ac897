"""Loads TensorFlow Lite networks from bundles or single files, and runs them with LiteRT on one thread."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ModelError
from kwsd.files import NETWORK_LIMIT, read_file
from kwsd.frontend import Float32
from kwsd.log import silence_stderr
from kwsd.models.bundle import NETWORK, check_labels, read_bundle_and_network
from kwsd.models.inputs import Quantization, dequantize, find_input
from kwsd.models.model import HOP_SAMPLES, Model, Window, make_default_settings
from kwsd.models.trial import (
    FEW_WINDOWS,
    check_probabilities,
    compute_trial_outputs,
    needs_softmax,
    softmax,
    try_in_child,
)
from kwsd.system.text import clean_text


class LiteRTNetwork:
    """A TensorFlow Lite network that takes one window of audio and returns one number for each label.

    Parameters
    ----------
    content : bytes
        Content of the network file. A file name is not used, because LiteRT would map the file into memory. A change of
        a mapped file can end the process.
    outputs : int, optional
        Required number of outputs. If the value is None, the network uses the size of its first output.
    origin : str
        Name of the network, for error messages.

    Attributes
    ----------
    outputs : int
        Number of values that the network returns.
    with_softmax : bool
        Whether `scores` applies a softmax to the outputs. The value is False at first, so `scores` then returns the
        unchanged outputs.

    Raises
    ------
    ModelError
        LiteRT cannot run the network, or kwsd does not support its input or output.
    """

    def __init__(self, content: bytes, outputs: int | None, origin: str) -> None:
        self.with_softmax = False
        self._origin = origin
        self._content = content  # LiteRT reads the weights from here
        self._interpreter = make_interpreter(content, origin)
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            raise ModelError(f"{origin} has {len(inputs)} inputs: export it with one input, a window of audio")
        self._index = int(inputs[0]["index"])
        sizes = [int(size) for size in inputs[0].get("shape_signature", inputs[0]["shape"])]
        self._input = find_input(sizes, inputs[0]["dtype"], origin, _quantization(inputs[0]))
        if self._input.shape != tuple(inputs[0]["shape"]):
            self._interpreter.resize_tensor_input(self._index, self._input.shape)
        allocate_tensors(self._interpreter, origin)
        self._output = _find_output(self._interpreter.get_output_details(), outputs, origin)
        self.outputs = self._output.size

    def scores(self, window: Window) -> Float32:
        """Return the probability of each label, with the shape (labels,) and the dtype float32."""
        output: Float32 = self.compute(window).astype(np.float32, copy=False)
        return softmax(output) if self.with_softmax else output

    def compute(self, window: Window) -> NDArray[np.generic]:
        """Return the output of the network for a window, with the shape (labels,)."""
        try:
            self._interpreter.set_tensor(self._index, self._input.encode(window))
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._origin} fails when it runs: {_first_line(error)}") from None
        output = self._interpreter.get_tensor(self._output.tensor).reshape(-1)
        return dequantize(output, self._output.quantization)


class NetworkOutput(NamedTuple):
    """Describes the output of a network: the index of its tensor, its number of elements, and its quantization."""

    tensor: int
    size: int
    quantization: Quantization


def load_bundle_model(folder: Path, *, trusted: bool) -> Model:
    """Load the model from a bundle.

    Parameters
    ----------
    folder : Path
        Folder of the bundle.
    trusted : bool
        Whether the bundle was installed with kwsd. A network that was not installed with kwsd is first tested in a
        child process.

    Raises
    ------
    ModelError
        The bundle cannot be used (see `kwsd.models.bundle.read_bundle`), or its network is not a classifier.
    """
    bundle, content = read_bundle_and_network(folder)
    origin = str(folder / NETWORK)

    def load() -> LiteRTNetwork:
        network = LiteRTNetwork(content, len(bundle.labels), origin)
        check_probabilities(compute_trial_outputs(network.compute, network.outputs, origin, FEW_WINDOWS), origin)
        return network

    network = load() if trusted else _load_after_trial(load, origin)
    return Model(bundle.name, tuple(bundle.labels), bundle.hop_samples, bundle.detector, network)


def load_tflite_model(path: Path, labels: Sequence[str]) -> Model:
    """Load a model from a single TensorFlow Lite file.

    Parameters
    ----------
    path : Path
        TensorFlow Lite file of the model.
    labels : sequence of str
        Labels of the model, in the order of the network's outputs.

    Raises
    ------
    ModelError
        The file cannot be read, its network cannot be used, or the labels do not match the outputs.
    """
    try:
        content = read_file(path, NETWORK_LIMIT)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    origin = str(path)

    def load() -> LiteRTNetwork:
        network = LiteRTNetwork(content, len(labels) or None, origin)
        network.with_softmax = needs_softmax(compute_trial_outputs(network.compute, network.outputs, origin), origin)
        return network

    network = _load_after_trial(load, origin)
    if not labels:
        raise ModelError(
            f"{path} does not contain its labels: name its {network.outputs} outputs in order with  --labels a,b,…"
        )
    names = check_labels(labels, origin)
    return Model(clean_text(path.stem), names, HOP_SAMPLES, make_default_settings(names), network)


def _load_after_trial(load: Callable[[], LiteRTNetwork], origin: str) -> LiteRTNetwork:
    _import_interpreter()  # once, instead of in the child and again here
    try_in_child(load, origin)
    return load()


def _import_interpreter() -> Any:  # noqa: ANN401  LiteRT has no type information
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  takes 0.1 s, which `kwsd --help` saves

    return Interpreter


def make_interpreter(content: bytes, origin: str) -> Any:  # noqa: ANN401  LiteRT has no type information
    """Return a LiteRT interpreter that uses one thread. The tensors of the interpreter are not allocated yet.

    Parameters
    ----------
    content : bytes
        Content of the network file. The caller must keep this object in memory, because LiteRT reads the weights from
        it.
    origin : str
        Name of the network, for error messages.

    Raises
    ------
    ModelError
        LiteRT is unable to run this network.
    """
    make = _import_interpreter()
    try:
        # LiteRT announces its delegate on standard error and has no option against it.
        with silence_stderr():
            return make(model_content=content, num_threads=1)
    except (ValueError, RuntimeError) as error:
        raise _refusal(error, origin) from None


def allocate_tensors(interpreter: Any, origin: str) -> None:  # noqa: ANN401  see above
    """Allocate the tensors of an interpreter.

    Raises
    ------
    ModelError
        LiteRT is unable to run this network.
    """
    try:
        with silence_stderr():
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise _refusal(error, origin) from None


def _refusal(error: Exception, origin: str) -> ModelError:
    if "Flex" in str(error):
        return ModelError(f"{origin} needs operations that only TensorFlow has: export it as a SavedModel folder")
    return ModelError(f"{origin} is not a network that LiteRT can run: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "it gives no reason, and may need too much memory"


def _find_output(details: list[dict[str, Any]], size: int | None, origin: str) -> NetworkOutput:
    """Return the first output that is a vector of the given size, if dimensions of size 1 are ignored."""
    for output in details:
        shape, quantization = [int(length) for length in output["shape"]], _quantization(output)
        total = int(np.prod(shape))
        is_vector = max(shape, default=1) == total
        numeric = np.issubdtype(output["dtype"], np.floating) or quantization.scale > 0
        if is_vector and numeric and size in {None, total}:
            return NetworkOutput(int(output["index"]), total, quantization)
    found = ", ".join(f"{np.dtype(output['dtype'])} {tuple(map(int, output['shape']))}" for output in details)
    raise ModelError(f"{origin} returns {found}; kwsd needs float32 (1, {size or 'labels'}), a number for each label")


def _quantization(details: dict[str, Any]) -> Quantization:
    scale, zero_point = details["quantization"]
    is_integer = np.issubdtype(details["dtype"], np.integer)
    return Quantization(float(scale), int(zero_point)) if is_integer else Quantization()
