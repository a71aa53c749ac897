"""Builds models/embedding from the weights of Google's speech_embedding, found in the wheel of openWakeWord 0.4.0.

usage: build_embedding.py WHEEL

    pip download --no-deps openwakeword==0.4.0
    pip install onnx onnxruntime                # only for this script, in addition to `make test`
    python scripts/build_embedding.py openwakeword-0.4.0-py3-none-any.whl

The original computes each vector from a window of 76 frames. Nine tenths of a window were already in the window before.
This script builds a network with the same weights that takes only the 8 new frames and a state. None of the
convolutions over time pads its input, so two old rows at the input of each are all that a step needs.

The script compares the new network with the original, vector by vector. It fails if a value of the float32 network
differs by more than 1e-4. The network that ships has int8 weights. The script fails if the cosine of one of its vectors
with that of the original is below 0.99. Last, the script writes tests/data/embedding.npz: log-mel frames and vectors of
the original for the bundled recording.
"""

import hashlib
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnx
import onnxruntime
import soundfile
import tensorflow as tf

from kwsd.frontend import Float32
from kwsd.models import logmel
from kwsd.models.bundle import MODEL_CARD, NETWORK, describe_file
from kwsd.models.embedding import (
    DESCRIPTION,
    STEP_FRAMES,
    VECTOR_SIZE,
    WINDOW_FRAMES,
    EmbeddingDescription,
    EmbeddingNetwork,
    LogMel,
)

ROOT = Path(__file__).parents[1]
WHEEL_SHA256 = "2c353f49a35d384507403efde3db439353d8281a52d08a0e42a5b493e5145075"
FOLDER = "openwakeword/resources/models/"
LARGEST_DIFFERENCE = 1e-4
LOWEST_COSINE = 0.99
GOLDEN_S = 5

ORIGIN_OFFSET = 56
"""Samples by which the original centres its taper of 400 samples in a frame of 512."""

KERNEL = 3
"""Taps of every convolution that spans more than one frame or band."""

ATTRIBUTION = [
    "speech_embedding, Lin, Kilgour, Roblek and Sharifi, Google (TensorFlow Hub; arXiv:2002.01322), Apache-2.0",
    "openWakeWord 0.4.0, David Scripka, Apache-2.0: conversion of that network to ONNX, and its log-mel front end",
]


class Layer(NamedTuple):
    """One operation of the original network: its type in ONNX and its constants."""

    kind: str
    constants: list[np.ndarray]
    attributes: dict[str, Any]


def main() -> None:
    """Build the network, check it, and write the folder and the test data."""
    wheel = Path(sys.argv[1])
    if describe_file(wheel).sha256 != WHEEL_SHA256:
        sys.exit(f"{wheel} is not the wheel of openWakeWord 0.4.0: its SHA-256 differs")
    with zipfile.ZipFile(wheel) as archive:
        original, melspectrogram = (
            archive.read(FOLDER + name) for name in ("embedding_model.onnx", "melspectrogram.onnx")
        )
    layers = read_layers(original)
    content = convert(layers, int8=True)
    samples, _ = soundfile.read(ROOT / "kwsd" / "demo" / "demo.flac", dtype="float32")
    frames = reference_frames(melspectrogram, samples)
    vectors = reference_vectors(original, frames)
    difference = float(np.abs(stream(convert(layers, int8=False), frames) - vectors).max())
    cosine = lowest_cosine(stream(content, frames), vectors)
    print(f"{len(vectors)} vectors, values up to {np.abs(vectors).max():.0f}")
    print(f"largest difference in float32: {difference:.1e}; lowest cosine of the int8 network: {cosine:.4f}")
    if difference > LARGEST_DIFFERENCE or cosine < LOWEST_COSINE:
        sys.exit("the network differs too much from the original")
    write_folder(content, difference, cosine, hashlib.sha256(original).hexdigest())
    count = GOLDEN_S * 100
    golden = vectors[: count // STEP_FRAMES - WINDOW_FRAMES // STEP_FRAMES]
    np.savez_compressed(ROOT / "tests" / "data" / "embedding.npz", frames=frames[:count], vectors=golden)


def read_layers(content: bytes) -> list[Layer]:
    """The layers of the original network, in order."""
    graph = onnx.load_from_string(content).graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    return [
        Layer(
            node.op_type,
            [constants[name] for name in node.input if name in constants],
            {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
        )
        for node in graph.node
    ]


def convert(layers: list[Layer], *, int8: bool) -> bytes:
    """A TensorFlow Lite file of one step: frames and state in, vector and next state out.

    Parameters
    ----------
    int8 : bool
        Whether to store the weights of the larger convolutions as int8. Their inputs are then rounded in each step.
    """
    shapes = state_shapes(layers)
    sizes = [int(np.prod(shape)) for shape in shapes]

    @tf.function
    def step(mel: tf.Tensor, state: tf.Tensor) -> dict[str, tf.Tensor]:
        states = [tf.reshape(part, (1, *shape)) for part, shape in zip(tf.split(state, sizes), shapes, strict=True)]
        vector, new = apply_layers(layers, mel[tf.newaxis, :, :, tf.newaxis], states)
        return {
            "vector": tf.reshape(vector, (1, VECTOR_SIZE)),
            "state": tf.concat([tf.reshape(rows, [-1]) for rows in new], 0),
        }

    function = step.get_concrete_function(
        tf.TensorSpec((STEP_FRAMES, logmel.BANDS), tf.float32), tf.TensorSpec((sum(sizes),), tf.float32)
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converted: bytes = converter.convert()
    return converted


def state_shapes(layers: list[Layer]) -> list[tuple[int, ...]]:
    """Shape of the two rows that each convolution over time keeps."""
    _, rows = apply_layers(layers, tf.zeros((1, WINDOW_FRAMES, logmel.BANDS, 1)), None)
    return [tuple(each.shape[1:]) for each in rows]


def apply_layers(
    layers: list[Layer], x: tf.Tensor, states: list[tf.Tensor] | None
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Run the layers over shape (1, frames, bands, channels).

    Parameters
    ----------
    states : list or None
        Rows to put before the input of each convolution over time. None for a whole window.

    Returns
    -------
    tuple
        The output, and the last two rows of the input of each convolution over time.
    """
    rows: list[tf.Tensor] = []
    for kind, constants, attributes in layers:
        if kind == "Conv":
            weights = constants[0].transpose(2, 3, 1, 0)
            if weights.shape[0] == KERNEL:
                x = x if states is None else tf.concat([states[len(rows)], x], 1)
                rows.append(x[:, 1 - KERNEL :])
            across = weights.shape[1] // 2
            x = tf.nn.conv2d(x, weights, 1, [[0, 0], [0, 0], [across, across], [0, 0]])
            x = tf.nn.bias_add(x, constants[1]) if len(constants) > 1 else x
        elif kind == "BatchNormalization":
            gamma, beta, mean, variance = constants
            scale = gamma / np.sqrt(variance + attributes["epsilon"])
            x = x * scale + (beta - mean * scale)
        elif kind == "Relu":
            x = tf.nn.relu(x)
        elif kind == "LeakyRelu":
            x = tf.nn.leaky_relu(x, attributes["alpha"])
        elif kind == "Max":
            x = tf.maximum(x, constants[0])
        elif kind == "MaxPool":
            x = tf.nn.max_pool2d(x, attributes["kernel_shape"], attributes["strides"], "VALID")
        elif kind not in {"Pad", "Reshape"}:  # the padding of the first convolution, and the order of axes
            sys.exit(f"the original network has an operation that this script does not know: {kind}")
    return x, rows


def reference_frames(content: bytes, samples: Float32) -> Float32:
    """Log-mel frames by openWakeWord, for which frame k ends where frame k of `kwsd.Embedding` does: shape (n, 32)."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    silence = np.zeros(logmel.FRAME_LENGTH - logmel.FRAME_STEP + ORIGIN_OFFSET, np.float32)
    waveform = np.concatenate([silence, samples * logmel.FULL_SCALE])[np.newaxis]
    (levels,) = session.run(None, {session.get_inputs()[0].name: waveform})
    frames: Float32 = levels.reshape(-1, logmel.BANDS) / 10 + logmel.OFFSET
    return frames


def reference_vectors(content: bytes, frames: Float32) -> Float32:
    """Vectors by the original network, of each whole window that ends with a step: shape (n, 96)."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    ends = range(-(-WINDOW_FRAMES // STEP_FRAMES) * STEP_FRAMES, len(frames) + 1, STEP_FRAMES)
    windows = np.stack([frames[end - WINDOW_FRAMES : end] for end in ends])[..., np.newaxis]
    (vectors,) = session.run(None, {session.get_inputs()[0].name: windows})
    reshaped: Float32 = vectors.reshape(-1, VECTOR_SIZE)
    return reshaped


def stream(content: bytes, frames: Float32) -> Float32:
    """Vectors by a new network, step by step, without those of the first nine steps, whose windows are not whole."""
    network = EmbeddingNetwork(content, NETWORK)
    state, vectors = network.silence, []
    for start in range(0, len(frames) - STEP_FRAMES + 1, STEP_FRAMES):
        vector, state = network.step(frames[start : start + STEP_FRAMES], state)
        vectors.append(vector)
    return np.array(vectors[WINDOW_FRAMES // STEP_FRAMES :])


def lowest_cosine(first: Float32, second: Float32) -> float:
    """The lowest cosine between rows of two arrays."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float((np.sum(first * second, axis=1) / lengths).min())


def write_folder(content: bytes, difference: float, cosine: float, original_sha256: str) -> None:
    """Write the network and its description. The model card is written by hand and stays."""
    folder = ROOT / "models" / "embedding"
    (folder / NETWORK).write_bytes(content)
    description = EmbeddingDescription(
        name="speech_embedding",
        front_end=LogMel(),
        step_frames=STEP_FRAMES,
        window_frames=WINDOW_FRAMES,
        vector_size=VECTOR_SIZE,
        files={name: describe_file(folder / name) for name in (NETWORK, MODEL_CARD)},
        licence="Apache-2.0",
        attribution=ATTRIBUTION,
        origin={
            "wheel": "openwakeword 0.4.0",
            "wheel_sha256": WHEEL_SHA256,
            "network": "embedding_model.onnx",
            "network_sha256": original_sha256,
            "tensorflow": version("tensorflow"),
        },
        largest_difference=difference,
        lowest_cosine=cosine,
    )
    encoded = msgspec.json.format(msgspec.json.encode(description), indent=2)
    (folder / DESCRIPTION).write_bytes(encoded + b"\n")


if __name__ == "__main__":
    main()
