"""Loads SavedModel folders and frozen graphs. This is the only module that imports TensorFlow."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ModelError
from kwsd.files import NETWORK_LIMIT, check_file, read_file
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32, spectrogram
from kwsd.log import silence_stderr
from kwsd.models.bundle import check_labels
from kwsd.models.inputs import NetworkInput, find_input
from kwsd.models.model import HOP_SAMPLES, Model, Window, make_default_settings
from kwsd.models.trial import compute_trial_outputs, needs_softmax, softmax
from kwsd.system.text import clean_text

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""TensorFlow's environment variable for log messages: the value 0 shows all messages, and 3 hides all of them.
TensorFlow raises errors with every value of this variable."""

try:
    os.environ.setdefault(LEVEL, "3")
    # TensorFlow's C++ code prints its first messages, such as those about missing GPUs, before it reads the variable.
    with silence_stderr():
        import tensorflow as tf
except ModuleNotFoundError:
    raise ModelError(
        "a SavedModel needs TensorFlow: install it, in a clone of kwsd, with  pipx install --force '.[tensorflow]'"
    ) from None
except (ImportError, OSError) as error:
    raise ModelError(f"TensorFlow cannot be imported: {clean_text(str(error))}") from None

TENSORFLOW_ERRORS = (OSError, ValueError, RuntimeError, LookupError, AttributeError, TypeError, tf.errors.OpError)
"""Exceptions that TensorFlow raises for damaged models."""

PREFERRED_OUTPUT = "predictions"
"""Name of the output in TensorFlow's tutorial on audio recognition. If a function has several outputs, kwsd prefers the
output with this name."""

MAX_FILES = 10_000
"""Maximum number of files in a SavedModel folder. A folder with more files is not a model, and checking all its files
would take a long time."""


class SavedModelNetwork:
    """A TensorFlow function that takes a window and returns a number for each label.

    Parameters
    ----------
    function : tensorflow.ConcreteFunction
        The TensorFlow function to call.
    feed : NetworkInput
        Description of the function's input.
    output : str or int
        Name or index of the result that contains the numbers.
    origin : str
        Name of the model, for error messages.

    Attributes
    ----------
    with_softmax : bool
        Whether `scores` applies a softmax to the numbers. At first, the value is False and `scores` returns the
        unchanged numbers.
    owner : object
        Object that owns the variables of the function.
    """

    def __init__(self, function: Any, feed: NetworkInput, output: str | int, origin: str) -> None:  # noqa: ANN401
        self.with_softmax = False
        self.owner: Any = None
        self._function = function
        self._feed = feed
        self._output = output
        self._origin = origin

    def scores(self, window: Window) -> Float32:
        """Return the probability of each label, with the shape (labels,) and the dtype float32."""
        output: Float32 = self.compute(window).astype(np.float32, copy=False)
        return softmax(output) if self.with_softmax else output

    def compute(self, window: Window) -> NDArray[np.generic]:
        """Return the output of the function for a window, with the shape (labels,)."""
        try:
            results = self._function(tf.constant(self._feed.encode(window)))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise ModelError(f"{self._origin} fails when it runs: {_first_line(error)}") from None
        # A function returns a table of tensors, a list of them, or one tensor.
        result = results if tf.is_tensor(results) else results[self._output]
        values: NDArray[np.generic] = result.numpy().reshape(-1)
        return values


def load_saved_model(folder: Path, labels: Sequence[str] = ()) -> Model:
    """Load a SavedModel folder whose function classifies waveforms or spectrograms.

    Parameters
    ----------
    folder : Path
        SavedModel folder to load.
    labels : sequence of str
        Labels of the model, in the order of the network's outputs. If this tuple is empty, kwsd looks for the labels in
        the model's graph.

    Raises
    ------
    ModelError
        TensorFlow cannot load the folder, the folder does not contain a suitable function, or the labels are unknown.
    """
    _check_files(folder)
    try:
        with silence_stderr():
            module = tf.saved_model.load(str(folder))
    except TENSORFLOW_ERRORS as error:
        raise ModelError(f"{folder} is not a SavedModel that TensorFlow can load: {_first_line(error)}") from None
    return _make_model(module, _concrete_functions(module), folder, labels)


def load_frozen_graph(path: Path, labels: Sequence[str] = ()) -> Model:
    """Load a frozen graph, whose variables are constants. TensorFlow 1 exported networks in this format.

    Parameters
    ----------
    path : Path
        File with the frozen graph.
    labels : sequence of str
        Labels of the model, in the order of the network's outputs. If this tuple is empty, kwsd looks for the labels in
        the model's graph.

    Raises
    ------
    ModelError
        The file is not a frozen graph, or the graph has one of the faults that `load_saved_model` reports.
    """
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(read_file(path, NETWORK_LIMIT))
        # TensorFlow's example for speech commands decodes a WAV file in the graph. Then samples replace its result.
        decoders = [node.name for node in graph.node if node.op == "DecodeWav"]

        def import_graph() -> None:
            rates = {f"{name}:1": tf.constant(SAMPLE_RATE) for name in decoders}
            tf.graph_util.import_graph_def(graph, input_map=rates, name="")

        with silence_stderr():
            wrapped = tf.compat.v1.wrap_function(import_graph, [])
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:  # protobuf has an error of its own, and no types
        raise ModelError(f"{path} is not a frozen graph that TensorFlow can load: {_first_line(error)}") from error
    feeds = decoders or [node.name for node in graph.node if node.op == "Placeholder"]
    used = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    ends = [node.name for node in graph.node if node.name not in used and node.op not in {"Const", "NoOp"}]
    if len(feeds) != 1 or len(ends) != 1:
        raise ModelError(
            f"{path} has {len(feeds)} inputs and {len(ends)} outputs: freeze it again with one of each, a window of"
            " audio and a number for each label"
        )
    feed, end = (wrapped.graph.get_tensor_by_name(f"{name}:0") for name in (feeds[0], ends[0]))
    return _make_model(wrapped, [wrapped.prune(feed, end)], path, labels)


def _make_model(owner: Any, functions: Iterable[Any], path: Path, labels: Sequence[str]) -> Model:  # noqa: ANN401
    """Create a model from the first suitable function. Its variables exist only while their owner exists."""
    origin = str(path)
    function, network = _choose_network(functions, len(labels), origin)
    network.owner = owner
    silence = np.zeros(WINDOW_SAMPLES, np.float32)
    with silence_stderr():  # TensorFlow looks for processors when it runs its first function
        size = len(network.compute(Window(silence, spectrogram(silence))))
        names = labels or _find_labels(function, size, origin)
        if len(names) != size:
            raise ModelError(f"{origin} has {size} outputs, but {len(names)} labels were given")
        names = check_labels(names, origin)
        network.with_softmax = needs_softmax(compute_trial_outputs(network.compute, size, origin), origin)
    resolved = path.resolve()
    # TensorFlow Serving names the folders of a model by number.
    name = resolved.parent.name if resolved.name.isdecimal() else resolved.name.removesuffix(".pb")
    return Model(clean_text(name), names, HOP_SAMPLES, make_default_settings(names), network)


def _check_files(folder: Path) -> None:
    """Check that TensorFlow will not wait for a file such as a FIFO, and that all files are small enough."""
    count = 0
    for root, _, names in os.walk(folder):
        count += len(names)
        if count > MAX_FILES:
            raise ModelError(f"{folder} contains more than {MAX_FILES} files: name the folder of the model alone")
        for path in (Path(root) / name for name in names):
            try:
                check_file(path, NETWORK_LIMIT)
            except OSError as error:
                raise ModelError(f"cannot read {path}: {error.strerror}") from None


def _concrete_functions(module: Any) -> Iterator[Any]:  # noqa: ANN401
    yield from module.signatures.values()
    if callable(module):
        yield from module.__call__.concrete_functions


def _choose_network(functions: Iterable[Any], labels: int, origin: str) -> tuple[Any, SavedModelNetwork]:
    """Find the first function whose input kwsd supports and that returns a vector.

    Return this function and a network that uses it.
    """
    faults = []
    for function in functions:
        inputs = function.inputs[: len(function.inputs) - len(function.captured_inputs)]
        if len(inputs) != 1:
            faults.append(f"a function has {len(inputs)} inputs")
            continue
        shape = inputs[0].shape.as_list() if inputs[0].shape.rank is not None else [None, None]
        try:
            feed = find_input(shape, inputs[0].dtype.as_numpy_dtype, "a function")
        except ModelError as error:
            faults.append(str(error))
            continue
        output = _choose_output(function.structured_outputs, labels)
        if output is not None:
            return function, SavedModelNetwork(function, feed, output, origin)
        faults.append(f"a function returns {_describe_outputs(function.structured_outputs)}")
    # A function of numbers says more about the model than a function of file names.
    fault = next((fault for fault in faults if "not numbers" not in fault), faults[0] if faults else "it has none")
    raise ModelError(
        f"{origin} has no function from waveforms, float32 (n, {WINDOW_SAMPLES}), to {PREFERRED_OUTPUT!r} or another"
        f" vector: {fault}"
    )


def _named_outputs(outputs: Any) -> dict[str | int, Any]:  # noqa: ANN401
    if isinstance(outputs, dict):
        return dict(outputs)
    return dict(enumerate(outputs if isinstance(outputs, list | tuple) else [outputs]))


def _choose_output(outputs: Any, labels: int) -> str | int | None:  # noqa: ANN401
    """Return the name or index of the only output with a number for each label.

    Without an output of this kind, or with several, return None.
    """
    named = _named_outputs(outputs)
    vectors = {
        name: spec.shape[-1] if spec.shape.rank else None
        for name, spec in named.items()
        if spec.dtype.is_floating and spec.shape.rank in {None, 1, 2}
    }
    fitting = [name for name, size in vectors.items() if labels and size == labels]
    for candidates in ([PREFERRED_OUTPUT] if PREFERRED_OUTPUT in vectors else [], list(vectors), fitting):
        if len(candidates) == 1:
            return candidates[0]
    return None


def _describe_outputs(outputs: Any) -> str:  # noqa: ANN401
    return ", ".join(f"{name}: {spec.dtype.name} {spec.shape}" for name, spec in _named_outputs(outputs).items())


def _find_labels(function: Any, outputs: int, origin: str) -> list[str]:  # noqa: ANN401
    """Return the labels from the graph: a vector of strings with one string for each output."""
    candidates = [*_constants(function), *function.captured_inputs]
    for value in candidates:
        if value.dtype == tf.string and value.shape == (outputs,):
            return [name.decode(errors="replace") for name in np.asarray(value)]
    raise ModelError(f"{origin} does not contain its labels: name its {outputs} outputs in order with --labels")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _constants(function: Any) -> Iterable[Any]:  # noqa: ANN401
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    for node in nodes:
        if node.op == "Const" and node.attr["dtype"].type == tf.string.as_datatype_enum:
            yield tf.constant(tf.make_ndarray(node.attr["value"].tensor))
