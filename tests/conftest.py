"""What several folders of tests need."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command


@pytest.fixture(scope="session")
def program() -> str:
    """The command as it is installed beside the Python that runs the tests."""
    return str(Path(sys.executable).with_name("kwsd"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """Real recordings of single words: ``<word>/*.flac``."""
    return Path(__file__).parent / "data" / "clips"


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A runtime folder; short, because a socket's path may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        yield Path(folder)


@pytest.fixture
def kwsd(program: str, runtime: Path) -> Iterator[Command]:
    """The command, with `runtime` as its user's folders; what a test leaves running is killed."""
    command = Command(program, runtime)
    yield command
    for process in command.started:
        process.kill()
        process.communicate()
