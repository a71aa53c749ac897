"""What a model makes of one recording."""

from pathlib import Path

import numpy as np

from kwsd.audio.file import FileSource
from kwsd.frontend import WINDOW_SAMPLES, Float32
from kwsd.models.model import Model


def read_window(file: Path) -> Float32:
    """The first second of a sound file of any rate, with zeros after its end: shape (16000,).

    Raises
    ------
    AudioDataError
        The file is no usable audio.
    """
    blocks = [block.samples for block in FileSource(file, paced=False).blocks()]
    samples = np.concatenate(blocks)[:WINDOW_SAMPLES]
    window: Float32 = np.pad(samples, (0, WINDOW_SAMPLES - len(samples))).astype(np.float32)
    return window


def predict(model: Model, window: Float32) -> dict[str, float]:
    """Probability of each label."""
    return dict(zip(model.labels, model.predict(window[np.newaxis])[0].tolist(), strict=True))
