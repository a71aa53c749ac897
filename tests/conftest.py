"""Fixtures of several folders of tests, and the markers that `make quick` goes by."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.command import Command
from helpers.pulse import PulseAudio, running_pulse
from hypothesis import settings

from kwsd import Spotter, load_model
from kwsd.cli.demo import DEMO_FOLDER

# A job in the background of a shell ignores Ctrl+C, and the programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Programs such as nohup(1) ignore hangups, which the tests send too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A test must not fail on a slow machine, so examples have no time limit.
settings.register_profile("kwsd", deadline=None)
settings.load_profile("kwsd")

NOISE_S = 5

MARKER_OF_FIXTURE = {"program": "program", "kwsd_train": "program", "pulse": "sound"}
"""A test that uses one of these fixtures, also through another fixture, gets the marker beside it."""

TENSORFLOW = (
    "models/test_savedmodel.py",
    "train/data/test_features.py",
    "train/networks",
    "train/reporting",
    "train/test_cli.py",
    "train/test_review.py",
    "train/training",
)
"""Modules and folders whose tests need TensorFlow; they get the marker `tensorflow`."""


def needs_tensorflow(path: Path) -> bool:
    """Whether a module of tests is listed in `TENSORFLOW`, or is in a listed folder."""
    return any(path.is_relative_to(Path(__file__).parent / listed) for listed in TENSORFLOW)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules that need TensorFlow if it is missing or not wanted: its import takes seconds."""
    unwanted = "not tensorflow" in config.getoption("markexpr") or not find_spec("tensorflow")
    return True if unwanted and needs_tensorflow(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its markers, before pytest selects by them."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := MARKER_OF_FIXTURE.get(fixture):
                item.add_marker(marker)
        if needs_tensorflow(item.path):
            item.add_marker("tensorflow")


@pytest.fixture(scope="session")
def program() -> str:
    """Path of the installed command, beside the Python that runs the tests."""
    return str(Path(sys.executable).with_name("kwsd"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """Real recordings of single words: ``<word>/*.flac``."""
    return Path(__file__).parent / "data" / "clips"


@pytest.fixture(scope="session")
def two_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled recording until half a second after its second detection."""
    samples, rate = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
    second = Spotter(load_model()).feed(samples)[1]
    path = tmp_path_factory.mktemp("recordings") / "two_words.wav"
    soundfile.write(path, samples[: second.sample + rate // 2], rate)
    return path


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A runtime folder with a short path, because the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        yield Path(folder)


@pytest.fixture
def kwsd(program: str, runtime: Path) -> Iterator[Command]:
    """The command, with `runtime` as home folder. Its processes are killed after the test."""
    command = Command(program, runtime)
    yield command
    for process in command.started:
        with process:
            process.kill()


@pytest.fixture(scope="module")
def pulse() -> Iterator[PulseAudio]:
    """A sound server for the tests of one module."""
    with running_pulse() as server:
        yield server


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of quiet noise. It is longer than the daemon's queue, and than the time to notice a fault."""
    path = tmp_path_factory.mktemp("noise") / "noise.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 1e-3, NOISE_S * 16_000), 16_000)
    return path


@pytest.fixture(scope="session")
def stop(clips: Path) -> Path:
    """A recording of the word "stop"."""
    return min((clips / "stop").glob("*.flac"))
