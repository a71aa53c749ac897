"""What several folders of tests need."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def program() -> str:
    """The command as it is installed beside the Python that runs the tests."""
    return str(Path(sys.executable).with_name("kwsd"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """Real recordings of single words: ``<word>/*.flac``."""
    return Path(__file__).parent / "data" / "clips"
