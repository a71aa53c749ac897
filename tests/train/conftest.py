"""A small data folder of real recordings, and recipes that train on it in seconds."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from kwsd_train.data.recording import read_recording
from kwsd_train.data.split import split_of_speaker
from kwsd_train.recipe import Recipe, Tutorial, read_recipe

Run = Callable[..., subprocess.Popen[str]]


def speakers(split: str) -> Iterator[str]:
    """Names of speakers that the official rule puts into a split."""
    return (name for name in (f"{number:08x}" for number in count()) if split_of_speaker(name) == split)


@pytest.fixture(scope="session")
def data(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder: two clips per word for training and two for validation, under changed names of speakers."""
    folder = tmp_path_factory.mktemp("data")
    training, validation = speakers("training"), speakers("validation")
    for word in sorted(path for path in clips.iterdir() if path.is_dir()):
        target = folder / "speech_commands" / word.name
        target.mkdir(parents=True)
        for number, clip in enumerate(sorted(word.iterdir())):
            who = next(validation if number % 2 else training)
            (target / f"{who}_nohash_0.flac").write_bytes(clip.read_bytes())
    _write_surroundings(folder, clips)
    return folder


def _write_surroundings(folder: Path, clips: Path) -> None:
    """Write other words in a row as running speech, hiss as noise, and a short decay as a room."""
    rng = np.random.default_rng(0)
    words = [read_recording(path) for path in sorted(clips.glob("*/*.flac"))]
    for split in ("training", "validation"):
        who = next(speakers(split))
        for kind in ("speech", "noise"):
            (folder / kind).mkdir(exist_ok=True)
        soundfile.write(folder / "speech" / f"{who}.flac", np.concatenate(words[-20:]), 16_000)
        soundfile.write(folder / "noise" / f"{who}.flac", rng.normal(0, 0.02, 48_000), 16_000)
    (folder / "rir").mkdir()
    soundfile.write(
        folder / "rir" / "room.flac", np.exp(-np.arange(1600) / 200) * rng.choice([-0.5, 0.5], 1600), 16_000
    )


@pytest.fixture(scope="session")
def tutorial() -> Recipe:
    """The tutorial's recipe on two words."""
    return Recipe("tiny", Tutorial(), epochs=2, batch_size=4, keywords=["yes", "no"])


STREAMING = """
name = "tiny-streaming"
keywords = ["yes", "no"]
epochs = 2
batch_size = 8

[network]
type = "tc-resnet"
channels = 8
dropout = 0.1

[optimizer]
weight_decay = 0.01
warmup_epochs = 1
averaging = 0.9

[mixture]
per_keyword = 8
per_unknown_word = 1
speech_crops = 8
half_words = 4
silences = 4
glued_words = 4

[augmentation]
shift_s = 0.25
speed = 0.1
speed_share = 0.5
room_share = 0.5
noise_share = 0.8
snr_db = [0, 25]
babble_share = 0.2
babble_snr_db = [10, 25]
gain_db = [-12, 6]
far_share = 0.2
far_gain_db = [-30, -6]
hiss_share = 0.2
"""


@pytest.fixture(scope="session")
def streaming_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a recipe with a small network and the same kinds of examples as the default recipe."""
    path = tmp_path_factory.mktemp("recipes") / "tiny-streaming.toml"
    path.write_text(STREAMING)
    return path


@pytest.fixture(scope="session")
def streaming(streaming_file: Path) -> Recipe:
    """The recipe in `streaming_file`."""
    return read_recipe(str(streaming_file))


@pytest.fixture
def kwsd_train() -> Iterator[Run]:
    """Start the command ``kwsd-train``; a process that still runs after the test is killed."""
    started = []

    def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        program = Path(sys.executable).with_name("kwsd-train")
        process = subprocess.Popen(
            [program, *arguments],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
