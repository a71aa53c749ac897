"""The network of the embedding, which LiteRT runs on one thread, and the description file of the network's folder."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kwsd import frontend
from kwsd.errors import ModelError
from kwsd.frontend import Float32
from kwsd.models import logmel
from kwsd.models.bundle import NETWORK, FileRecord, check_front_end, read_described_file, read_description
from kwsd.models.litert import allocate_tensors, make_interpreter

SCHEMA_VERSION = 1

DESCRIPTION = "embedding.json"
"""Name of the description file of the embedding. The description of the embedding differs from the description of a
bundle, because the embedding has no keywords."""

STEP_FRAMES = 8
"""Number of log-mel frames in one step: 8, because the network halves the time axis three times."""

WINDOW_FRAMES = 76
"""Number of log-mel frames that a vector depends on."""

WARM_UP_STEPS = 12
"""Number of steps after which the next vector is exact, if the steps start from an arbitrary state.

Ten of these steps fill the window of the network. Each of the eleven convolutions over time also rounds
its input relative to the largest input value, and the input includes the state. Because of this rounding, each
convolution adds one step. The last convolution adds two steps, because it receives only one row per step.
"""

VECTOR_SIZE = 96


class LogMel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the front end with which the network was trained; see `kwsd.models.logmel`.

    All lengths are in samples.
    """

    sample_rate: int = frontend.SAMPLE_RATE
    frame_length: int = logmel.FRAME_LENGTH
    frame_step: int = logmel.FRAME_STEP
    fft_length: int = logmel.FFT_LENGTH
    bands: int = logmel.BANDS
    lowest_hz: float = logmel.LOWEST_HZ
    highest_hz: float = logmel.HIGHEST_HZ
    floor: float = logmel.FLOOR


class EmbeddingDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``embedding.json``.

    Parameters
    ----------
    files : dict
        Maps the name of each file in the folder to its `FileRecord`.
    origin : dict
        Source of the weights: the public file, the SHA-256 of this file, and the versions of the libraries that
        converted it.
    largest_difference : float
        Maximum difference between an output of the original network and of the network in float32, before the
        conversion.
    lowest_cosine : float
        Minimum cosine similarity between a vector of the original network and the vector of the converted network.
    """

    name: str
    front_end: LogMel
    step_frames: int
    window_frames: int
    vector_size: int
    files: dict[str, FileRecord]
    licence: str
    attribution: list[str]
    origin: dict[str, str]
    largest_difference: float
    lowest_cosine: float
    schema_version: int = SCHEMA_VERSION


class EmbeddingNetwork:
    """Computes one vector and the next state from `STEP_FRAMES` log-mel frames and the state of a stream.

    The state holds the last two rows of the input of each convolution over time. The caller stores the state of each
    stream, so a single network can process any number of streams.

    Parameters
    ----------
    content : bytes
        Content of a TensorFlow Lite file.
    origin : str
        Name of the file, for error messages.

    Attributes
    ----------
    silence : ndarray, shape (n,), float32
        The state of a stream that has contained only digital silence.

    Raises
    ------
    ModelError
        LiteRT cannot run the network, or the network has unexpected inputs or outputs.
    """

    def __init__(self, content: bytes, origin: str) -> None:
        self._content = content  # LiteRT reads the weights from here
        self._interpreter = make_interpreter(content, origin)
        allocate_tensors(self._interpreter, origin)
        inputs = {len(details["shape"]): details for details in self._interpreter.get_input_details()}
        outputs = {len(details["shape"]): details for details in self._interpreter.get_output_details()}
        size = tuple(inputs[1]["shape"]) if 1 in inputs else (0,)
        self._mel = _tensor_index(inputs, (STEP_FRAMES, logmel.BANDS), origin)
        self._state = _tensor_index(inputs, size, origin)
        self._vector = _tensor_index(outputs, (1, VECTOR_SIZE), origin)
        self._next_state = _tensor_index(outputs, size, origin)
        silent = np.full((STEP_FRAMES, logmel.BANDS), logmel.SILENCE, np.float32)
        state: Float32 = np.zeros(size, np.float32)
        for _ in range(WARM_UP_STEPS):
            _, state = self.step(silent, state)
        self.silence = state

    def step(self, mel: Float32, state: Float32) -> tuple[Float32, Float32]:
        """Return the next vector, shape (96,), and the next state, both float32.

        Parameters
        ----------
        mel : ndarray, shape (8, 32), float32
            The next frames of the stream, as `kwsd.models.logmel.compute_log_mel` returns them.
        state : ndarray, shape (n,), float32
            State of the stream after the previous step. At the start of a stream, the state is `silence`.
        """
        self._interpreter.set_tensor(self._mel, mel)
        self._interpreter.set_tensor(self._state, state)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._vector)[0], self._interpreter.get_tensor(self._next_state)


def load_embedding_network(folder: Path) -> EmbeddingNetwork:
    """Load the network of the embedding from a folder.

    Raises
    ------
    ModelError
        A file in the folder is missing, altered or malformed, or the network was made for another front end.
    """
    description = read_embedding_description(folder)
    if NETWORK not in description.files:
        raise ModelError(f"{folder}: {DESCRIPTION} does not list {NETWORK}")
    content = read_described_file(folder, NETWORK, description.files[NETWORK], DESCRIPTION)
    return EmbeddingNetwork(content, str(folder / NETWORK))


def read_embedding_description(folder: Path) -> EmbeddingDescription:
    """Read and check the description file of an embedding folder.

    Raises
    ------
    ModelError
        The description file is missing or malformed, or the network was made for another front end.
    """
    path = folder / DESCRIPTION
    description = read_description(path, EmbeddingDescription)
    if description.schema_version != SCHEMA_VERSION:
        raise ModelError(f"{path} has schema {description.schema_version}, this kwsd reads schema {SCHEMA_VERSION}")
    check_front_end(folder, description.front_end, LogMel())
    return description


def _tensor_index(tensors: dict[int, dict[str, Any]], shape: tuple[int, ...], origin: str) -> int:
    """Find the only tensor with as many dimensions as `shape`, check its shape and type, and return its index."""
    details = tensors.get(len(shape))
    if details is None or tuple(details["shape"]) != shape or details["dtype"] is not np.float32:
        raise ModelError(f"{origin} is not the network of an embedding: it has no float32 tensor of shape {shape}")
    return int(details["index"])
