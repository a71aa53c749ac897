"""The microphone of the tests in this folder."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pulse import PulseAudio, running_pulse

NOISE_S = 5


@pytest.fixture(scope="module")
def pulse() -> Iterator[PulseAudio]:
    """A sound server for the tests of one module."""
    with running_pulse() as server:
        yield server


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of quiet noise, longer than the daemon's queue and than it takes to notice a fault."""
    path = tmp_path_factory.mktemp("noise") / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 1e-3, NOISE_S * 16_000), 16_000)
    return path


@pytest.fixture(scope="session")
def stop(clips: Path) -> Path:
    """A recording of the word "stop"."""
    return min((clips / "stop").glob("*.flac"))
