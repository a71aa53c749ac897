"""Computation of a model's scores for a single recording."""

from pathlib import Path

import numpy as np

from kwsd.audio.file import FileSource
from kwsd.frontend import WINDOW_SAMPLES, Float32
from kwsd.models.model import Model


def read_window(file: Path) -> Float32:
    """Read the first second of a sound file with any sample rate.

    The returned array has the shape (16000,). A file shorter than one second is padded with zeros.

    Raises
    ------
    AudioDataError
        The file does not contain usable audio.
    """
    blocks, count = list[Float32](), 0
    for block in FileSource(file, paced=False).blocks():
        blocks.append(block.samples)
        count += len(block.samples)
        if count >= WINDOW_SAMPLES:
            break
    samples = np.concatenate(blocks)[:WINDOW_SAMPLES]
    window: Float32 = np.pad(samples, (0, WINDOW_SAMPLES - len(samples))).astype(np.float32)
    return window


def predict_labels(model: Model, window: Float32) -> dict[str, float]:
    """Compute the probability of each label for one audio window of shape (16000,)."""
    return dict(zip(model.labels, model.predict(window[np.newaxis])[0].tolist(), strict=True))
