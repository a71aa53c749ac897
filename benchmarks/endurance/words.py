"""Selects recordings that the model always detects, so that a missing event must have another cause."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from kwsd import Spotter, load_model
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.models.model import Model

CLIPS = Path(__file__).parents[2] / "tests" / "data" / "clips"

OFFSETS = 4
"""Number of start positions within a hop at which each recording is tested."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording of a keyword, 16 kHz mono."""

    word: str
    path: Path
    samples: Float32


def reliable_clips() -> list[Clip]:
    """Recordings of keywords with exactly one detection, of the right keyword, for every tested start position.

    This must hold for the thresholds of the default model and for thresholds half-way between these and 1.
    """
    model = load_model()
    strict = model.with_thresholds({word: (1 + limit) / 2 for word, limit in model.detector.thresholds.items()})
    return [clip for clip in _clips(model.keywords) if all(_is_reliable(clip, tried) for tried in (model, strict))]


def _clips(words: Sequence[str]) -> list[Clip]:
    paths = sorted(path for word in words for path in (CLIPS / word).glob("*.flac"))
    return [Clip(path.parent.name, path, soundfile.read(path, dtype="float32")[0]) for path in paths]


def _is_reliable(clip: Clip, model: Model) -> bool:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    step = model.hop_samples // OFFSETS
    for offset in range(0, model.hop_samples, step):
        detected = Spotter(model).feed(np.concatenate([silence[:offset], clip.samples, silence]))
        if [detection.keyword for detection in detected] != [clip.word]:
            return False
    return True
