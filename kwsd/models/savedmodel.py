"""SavedModel folders, as TensorFlow's tutorial exports them. Only this module imports TensorFlow."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import ModelError
from kwsd.frontend import WINDOW_SAMPLES, Float32
from kwsd.models.bundle import RESERVED_LABELS, DetectorSettings
from kwsd.models.model import Model, Window

try:
    import tensorflow as tf
except ModuleNotFoundError:
    raise ModelError(
        "a SavedModel needs TensorFlow: install it, in a clone of kwsd, with  pipx install --force '.[tensorflow]'"
    ) from None

HOP_SAMPLES = 1280
THRESHOLD = 0.9
"""Threshold of every keyword, because such a folder has none. It is high: the network has only seen keywords."""


class SavedModelNetwork:
    """A TensorFlow function from waveforms, float32 (n, 16000), to logits named ``predictions``."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401  TensorFlow's objects have no useful types
        self._function = function

    def scores(self, window: Window) -> Float32:
        """Return the softmax of the logits: shape (labels,), float32."""
        scores: Float32 = tf.nn.softmax(self.logits(window.samples)).numpy()
        return scores

    def logits(self, samples: Float32) -> Float32:
        """Return the logits of one window: shape (labels,), float32."""
        outputs = self._function(tf.constant(samples[np.newaxis]))
        logits: Float32 = outputs["predictions"][0].numpy()
        return logits


def load_saved_model(folder: Path, labels: Sequence[str] = ()) -> Model:
    """Load a SavedModel that takes waveforms and returns logits.

    Parameters
    ----------
    labels : sequence of str
        Labels in the order of the logits. If empty, kwsd looks for them in the model's graph.

    Raises
    ------
    ModelError
        TensorFlow cannot load the folder, the folder has no such function, or the labels are not known.
    """
    try:
        module = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"{folder} is not a SavedModel that TensorFlow can load: {error}") from None
    function = _waveform_function(module, folder)
    network = SavedModelNetwork(function)
    outputs = len(network.logits(np.zeros(WINDOW_SAMPLES, np.float32)))
    names = tuple(labels or _labels(function, outputs, folder))
    if len(names) != outputs:
        raise ModelError(f"{folder} has {outputs} outputs, but {len(names)} labels were given")
    settings = DetectorSettings({word: THRESHOLD for word in names if word not in RESERVED_LABELS})
    return Model(folder.resolve().name, names, HOP_SAMPLES, settings, network)


def _waveform_function(module: Any, folder: Path) -> Any:  # noqa: ANN401  TensorFlow's objects have no useful types
    """Return the concrete function that takes a batch of waveforms."""
    for function in _concrete_functions(module):
        inputs = [spec for spec in function.inputs if spec.dtype == tf.float32]
        named = isinstance(function.structured_outputs, dict) and "predictions" in function.structured_outputs
        if named and inputs and inputs[0].shape.is_compatible_with([1, WINDOW_SAMPLES]):
            return function
    raise ModelError(f"{folder} has no function from waveforms, float32 (n, {WINDOW_SAMPLES}), to 'predictions'")


def _concrete_functions(module: Any) -> Iterable[Any]:  # noqa: ANN401
    if callable(module):
        yield from module.__call__.concrete_functions
    yield from module.signatures.values()


def _labels(function: Any, outputs: int, folder: Path) -> list[str]:  # noqa: ANN401
    """Return the labels: a vector of strings in the graph, with one string for each output."""
    candidates = [*_constants(function), *function.captured_inputs]
    for value in candidates:
        if value.dtype == tf.string and value.shape == (outputs,):
            return [name.decode() for name in np.asarray(value)]
    raise ModelError(f"{folder} does not contain its labels: name its {outputs} outputs in order with --labels")


def _constants(function: Any) -> Iterable[Any]:  # noqa: ANN401
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    for node in nodes:
        if node.op == "Const" and node.attr["dtype"].type == tf.string.as_datatype_enum:
            yield tf.constant(tf.make_ndarray(node.attr["value"].tensor))
