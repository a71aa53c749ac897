"""Audio from a capture for a command that listens for a limited time."""

from contextlib import closing

import numpy as np
import pytest
from helpers.stream import Script, Step

from kwsd.audio.capture import Arrival, Capture, Lost, Opened
from kwsd.audio.recording import take_audio
from kwsd.audio.source import BLOCK_SAMPLES
from kwsd.errors import AudioDataError, AudioLostError

TWO_BLOCKS = np.zeros(2 * BLOCK_SAMPLES, np.float32)


def take(*steps: Step) -> list[str]:
    """Names of the items of a source that follows these steps."""
    with closing(Capture(lambda: Script(*steps))) as capture:
        return [type(item).__name__ for item in take_audio(capture, live=False)]


def test_items_come_until_the_source_ends() -> None:
    assert take(TWO_BLOCKS) == ["Opened", "Arrival", "Arrival"]


def test_the_error_of_the_source_is_raised() -> None:
    with pytest.raises(AudioDataError, match="damaged"):
        take(TWO_BLOCKS, AudioDataError("damaged"))


def test_a_lost_source_is_an_item_and_its_audio_continues() -> None:
    sources = iter([Script(AudioLostError("unplugged")), Script(TWO_BLOCKS)])
    with closing(Capture(lambda: next(sources))) as capture:
        items = list(take_audio(capture, live=False))
    assert [type(item) for item in items] == [Opened, Lost, Opened, Arrival, Arrival]


def test_no_more_items_come_when_the_caller_stops() -> None:
    with closing(Capture(lambda: Script(TWO_BLOCKS))) as capture:
        assert list(take_audio(capture, live=False, stopped=lambda: True)) == []
