"""The time at which a block was recorded, as far as the capture can know it."""

import numpy as np
import pytest

from kwsd.audio.capture import RecordingClock
from kwsd.audio.source import BLOCK_SAMPLES, Block

HOP_S = 0.08


def block(stalled_s: float = 0, blocks: int = 1) -> Block:
    return Block(np.zeros(blocks * BLOCK_SAMPLES, np.float32), merged=blocks, stalled_s=stalled_s)


@pytest.fixture
def clock() -> RecordingClock:
    """A clock that has dated two blocks, the second at 100 seconds."""
    clock = RecordingClock()
    assert clock.date(block(), 100 - HOP_S, live=True) == 100 - HOP_S
    assert clock.date(block(), 100, live=True) == 100
    return clock


def test_a_block_that_the_source_waited_for_was_recorded_now(clock: RecordingClock) -> None:
    for now_s in (100.08, 100.2, 100.24, 100.6):
        assert clock.date(block(), now_s, live=True) == now_s


def test_blocks_that_come_together_were_recorded_now(clock: RecordingClock) -> None:
    assert clock.date(block(), 100.16, live=True) == 100.16
    assert clock.date(block(), 100.161, live=True) == 100.161
    assert clock.date(block(blocks=4), 100.481, live=True) == 100.481


def test_after_a_stop_the_blocks_of_a_device_follow_each_other_until_it_waits_again(clock: RecordingClock) -> None:
    found = [clock.date(block(), now_s, live=True) for now_s in (115, 115.001, 115.002)]
    assert found == pytest.approx([100.08, 100.16, 100.24])
    # The device waits for this block, so the buffers are empty.
    assert clock.date(block(), 115.07, live=True) == 115.07
    assert clock.date(block(), 115.071, live=True) == 115.071


def test_no_block_comes_from_the_future(clock: RecordingClock) -> None:
    found = [clock.date(block(), 101 + number / 1000, live=True) for number in range(20)]
    assert found[-1] == 101.019


def test_the_pause_of_a_writer_is_not_a_stop(clock: RecordingClock) -> None:
    assert clock.date(block(), 115, live=False) == 115
    assert clock.date(block(), 115.001, live=False) == 115.001


def test_a_pipe_that_was_empty_when_the_process_stopped_holds_nothing_older_than_the_stop(
    clock: RecordingClock,
) -> None:
    assert clock.date(block(stalled_s=10), 115, live=False) == pytest.approx(105.08)
    assert clock.date(block(), 115.001, live=False) == pytest.approx(105.16)
    assert clock.date(block(), 115.3, live=False) == 115.3
