"""The microphone of the tests in this folder."""

from collections.abc import Iterator

import pytest
from pulse import PulseAudio, running_pulse


@pytest.fixture(scope="module")
def pulse() -> Iterator[PulseAudio]:
    """A sound server for the tests of one module."""
    with running_pulse() as server:
        yield server
