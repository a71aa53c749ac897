"""The capture thread, with sources that play what a test writes down."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from kwsd.capture import BACKLOG_BLOCKS, Arrival, Capture, End, Item, Lost
from kwsd.errors import AudioDataError, AudioLostError, AudioUnavailableError
from kwsd.sources import Block, Source

PAUSE = "pause"


class Tape:
    """A source that plays numbered blocks, raises errors, and pauses until it is told to go on.

    Parameters
    ----------
    script : list
        A number for a block, an error to raise, or `PAUSE`.
    live : bool
    """

    name = "tape"

    def __init__(self, script: list[int | str | Exception], *, live: bool) -> None:
        self.live = live
        self.paused = threading.Event()
        self.resumed = threading.Event()
        self._script = script

    def blocks(self) -> Iterator[Block]:
        for entry in self._script:
            if isinstance(entry, Exception):
                raise entry
            if entry == PAUSE:
                self.paused.set()
                self.resumed.wait()
            else:
                yield Block(np.full(1, entry, np.float32))

    def close(self) -> None:
        self.resumed.set()


def no_other() -> Source:
    raise AssertionError("nothing was lost")


def items(capture: Capture) -> Iterator[Item]:
    """What the capture delivers, to its end."""
    while True:
        item = capture.next(timeout_s=60)
        assert item is not None
        yield item
        if isinstance(item, End):
            capture.close()
            return


def heard(found: list[Item]) -> list[tuple[int, bool]]:
    """Number of each block, and whether there was a gap before it."""
    return [(int(item.block.samples[0]), item.block.gap) for item in found if isinstance(item, Arrival)]


@pytest.mark.parametrize("tape", [Tape([1, 2, 3], live=True), Tape([1, 2, 3], live=False)], ids=["live", "file"])
def test_blocks_arrive_in_order_and_then_the_end(tape: Tape) -> None:
    found = list(items(Capture(tape, no_other)))
    assert heard(found) == [(1, False), (2, False), (3, False)]
    assert found[-1] == End(None)


def test_a_file_waits_for_a_daemon_that_falls_behind() -> None:
    count = 3 * BACKLOG_BLOCKS
    found = list(items(Capture(Tape(list(range(count)), live=False), no_other)))
    assert heard(found) == [(number, False) for number in range(count)]


def test_of_a_live_source_the_blocks_that_found_no_room_are_a_gap_before_the_next() -> None:
    count = 3 * BACKLOG_BLOCKS
    tape = Tape([*range(count), PAUSE, count, count + 1], live=True)
    capture = Capture(tape, no_other)
    tape.paused.wait()
    kept = [capture.next(timeout_s=60) for _ in range(BACKLOG_BLOCKS)]
    tape.resumed.set()
    rest = list(items(capture))
    assert heard(kept) == [(number, False) for number in range(BACKLOG_BLOCKS)]
    assert heard(rest) == [(count, True), (count + 1, False)]


def test_a_lost_source_is_opened_again_until_it_is_back_and_its_audio_begins_with_a_gap() -> None:
    attempts = iter([AudioUnavailableError("not yet"), Tape([2, 3], live=True)])

    def reopen() -> Source:
        attempt = next(attempts)
        if isinstance(attempt, Exception):
            raise attempt
        return attempt

    found = list(items(Capture(Tape([1, AudioLostError("unplugged")], live=True), reopen)))
    assert heard(found) == [(1, False), (2, True), (3, False)]
    assert found[1] == Lost("unplugged")


def test_any_other_error_of_a_source_is_handed_over_after_its_blocks() -> None:
    error = AudioDataError("truncated")
    found = list(items(Capture(Tape([1, error], live=False), no_other)))
    assert heard(found) == [(1, False)]
    assert found[-1] == End(error)


def test_nothing_within_the_time_allowed_is_none() -> None:
    tape = Tape([PAUSE], live=True)
    capture = Capture(tape, no_other)
    assert capture.next(timeout_s=0) is None
    capture.close()


def test_closing_ends_a_source_that_waits_for_room() -> None:
    before = threading.active_count()
    capture = Capture(Tape(list(range(3 * BACKLOG_BLOCKS)), live=False), no_other)
    assert capture.next(timeout_s=60)
    capture.close()
    assert threading.active_count() == before
