"""Small networks in TensorFlow Lite's format, made without TensorFlow, and bundles that contain them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kwsd.models.bundle import NETWORK, describe_content, read_bundle, write_manifest
from kwsd.models.find import find_model

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
}


VERSIONS = {"BROADCAST_TO": 3}
"""Versions of operators other than 1."""


class NetworkMaker:
    """Builds one network, operator by operator."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]

    def tensor(self, shape: Sequence[int], dtype: str = "float32", *, scale: float = 0.0) -> int:
        """Add a tensor, and return its number."""
        tensor = schema.TensorT()
        tensor.name = f"tensor{len(self._graph.tensors)}"
        tensor.shape = list(shape)
        tensor.type = TYPES[dtype]
        tensor.buffer = 0
        if scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [0]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, values: np.ndarray) -> int:
        """Add a tensor with fixed values, and return its number."""
        number = self.tensor(values.shape, values.dtype.name)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[number].buffer = len(self._model.buffers) - 1
        return number

    def add(self, operator: str, inputs: Sequence[int], output: int) -> int:
        """Add an operator with its default options, and return the number of its output."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, operator)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), VERSIONS.get(operator, 1)
        self._model.operatorCodes.append(code)
        step = schema.OperatorT()
        step.opcodeIndex = len(self._model.operatorCodes) - 1
        step.inputs, step.outputs = list(inputs), [output]
        name = {"FULLY_CONNECTED": "FullyConnectedOptions", "SOFTMAX": "SoftmaxOptions", "GATHER": "GatherOptions"}.get(
            operator
        )
        if name:
            step.builtinOptions = getattr(schema, f"{name}T")()
            step.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        if operator == "SOFTMAX":
            step.builtinOptions.beta = 1.0
        self._graph.operators.append(step)
        return output

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the content of the file."""
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def make_network(
    bias: Sequence[float],
    end: str = "",
    *,
    shape: Sequence[int] = (1, 124, 129),
    dtype: str = "float32",
    scale: float = 0.0,
) -> bytes:
    """Make a network whose outputs are almost constant: `bias`, after the operator `end`.

    Parameters
    ----------
    bias : sequence of float
        Outputs of the only layer for silence. Other sounds change them a little.
    end : str
        ``SOFTMAX``, ``LOGISTIC``; ``GATHER`` fails when it runs; ``BROADCAST_TO`` needs terabytes of memory.
    shape, dtype, scale
        The input, and the code of its integers.
    """
    maker = NetworkMaker()
    size, count = int(np.prod(shape)), len(bias)
    given = maker.tensor(shape, dtype, scale=scale)
    flat = given
    if dtype != "float32":
        flat = maker.add("DEQUANTIZE" if scale else "CAST", [given], maker.tensor(shape))
    weights = np.full((count, size), 1e-7, np.float32) * np.arange(count, dtype=np.float32)[:, np.newaxis]
    flat = maker.add("RESHAPE", [flat, maker.constant(np.array([1, size], np.int32))], maker.tensor([1, size]))
    layer = [flat, maker.constant(weights), maker.constant(np.array(bias, np.float32))]
    output = maker.add("FULLY_CONNECTED", layer, maker.tensor([1, count]))
    if end in {"SOFTMAX", "LOGISTIC"}:
        output = maker.add(end, [output], maker.tensor([1, count]))
    elif end == "GATHER":
        places = maker.constant(np.full((1,), 99, np.int32))
        output = maker.add(end, [output, places], maker.tensor([1, count]))
    elif end == "BROADCAST_TO":
        huge = maker.constant(np.array([1 << 20, 1 << 19, count], np.int32))
        maker.add(end, [output, huge], maker.tensor([1 << 20, 1 << 19, count]))
    return maker.finish([given], [output])


def make_bundle(folder: Path, network: bytes, labels: Sequence[str] = ("go", "stop")) -> Path:
    """Make a bundle with this network, whose sizes and hashes are right."""
    shutil.copytree(find_model("default"), folder)
    old = read_bundle(folder)
    (folder / NETWORK).write_bytes(network)
    detector = msgspec.structs.replace(old.detector, thresholds=dict.fromkeys(labels, 0.5))
    files = old.files | {NETWORK: describe_content(network)}
    write_manifest(
        msgspec.structs.replace(old, name=folder.name, labels=list(labels), detector=detector, files=files), folder
    )
    return folder
