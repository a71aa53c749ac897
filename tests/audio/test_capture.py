"""The capture thread, with sources that play what a test writes down."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import numpy as np
import pytest

from kwsd.audio.capture import BACKLOG_BLOCKS, Arrival, Capture, End, Item, Lost, Opened
from kwsd.audio.inbox import Inbox
from kwsd.audio.source import BLOCK_SAMPLES, MAX_BATCH, Block, Source
from kwsd.errors import AudioDataError, AudioLostError, AudioUnavailableError

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
        self.batch = 1
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
                self.resumed.clear()
            else:
                yield Block(np.full(1, entry, np.float32))

    def go_on(self) -> None:
        """End a pause, the next one if none has begun."""
        self.paused.wait()
        self.paused.clear()
        self.resumed.set()

    def close(self) -> None:
        self.resumed.set()


def opening(*attempts: Source | Exception) -> Callable[[], Source]:
    """What opens one source after the other, or fails."""
    left = iter(attempts)

    def open_source() -> Source:
        attempt = next(left)
        if isinstance(attempt, Exception):
            raise attempt
        return attempt

    return open_source


def items(capture: Capture) -> Iterator[Item]:
    """What the capture delivers, to its end."""
    while True:
        item = capture.next(timeout_s=60)
        assert item is not None
        yield item
        if isinstance(item, End):
            capture.close()
            return


def heard(found: Sequence[Item | None]) -> list[tuple[int, bool]]:
    """Number of each block, and whether there was a gap before it."""
    return [(int(item.block.samples[0]), item.block.gap) for item in found if isinstance(item, Arrival)]


@pytest.mark.parametrize("tape", [Tape([1, 2, 3], live=True), Tape([1, 2, 3], live=False)], ids=["live", "file"])
def test_blocks_arrive_in_order_and_then_the_end(tape: Tape) -> None:
    found = list(items(Capture(opening(tape))))
    assert heard(found) == [(1, False), (2, False), (3, False)]
    assert found[-1] == End(None)


def test_a_file_waits_for_a_daemon_that_falls_behind() -> None:
    count = 3 * BACKLOG_BLOCKS
    found = list(items(Capture(opening(Tape(list(range(count)), live=False)))))
    assert heard(found) == [(number, False) for number in range(count)]


def test_of_a_live_source_the_blocks_that_found_no_room_are_a_gap_before_the_next() -> None:
    count = 3 * BACKLOG_BLOCKS
    tape = Tape([PAUSE, *range(count), PAUSE, count, count + 1], live=True)
    capture = Capture(opening(tape))
    assert capture.next(timeout_s=60) == Opened("tape")
    tape.go_on()
    tape.paused.wait()
    kept = [capture.next(timeout_s=60) for _ in range(BACKLOG_BLOCKS)]
    tape.go_on()
    rest = list(items(capture))
    assert heard(kept) == [(number, False) for number in range(BACKLOG_BLOCKS)]
    assert heard(rest) == [(count, True), (count + 1, False)]


def test_blocks_that_are_held_are_queued_until_they_are_processed() -> None:
    inbox: Inbox[tuple[Capture, Item]] = Inbox()
    tape = Tape([*range(3 * BACKLOG_BLOCKS), PAUSE], live=True)
    capture = Capture(opening(tape), inbox=inbox)
    assert inbox.next(timeout_s=60) == (capture, Opened("tape"))
    assert all(inbox.next(timeout_s=60) for _ in range(BACKLOG_BLOCKS))
    tape.paused.wait()
    assert (capture.queued, capture.dropped) == (BACKLOG_BLOCKS, 2 * BACKLOG_BLOCKS)
    capture.block_taken(Block(np.zeros(1, np.float32)))
    assert capture.queued == BACKLOG_BLOCKS - 1
    capture.close()


def test_the_batch_covers_the_samples_without_a_detection_and_the_block_after_them() -> None:
    tape = Tape([1, PAUSE, 2, PAUSE, 3, PAUSE, 4, PAUSE], live=True)
    with closing(Capture(opening(tape))) as capture:
        assert capture.next(timeout_s=60) == Opened("tape")
        batches = []
        for calm in (0, 3, 9, 0):
            assert capture.next(timeout_s=60)
            tape.paused.wait()
            batches.append(tape.batch)
            capture.allow_batch(calm * BLOCK_SAMPLES)  # takes effect after the next block, which is being fetched now
            tape.go_on()
        assert batches == [1, 1, 3, MAX_BATCH]


def test_a_lost_source_is_opened_again_until_it_is_back_and_its_audio_begins_with_a_gap() -> None:
    first = Tape([1, AudioLostError("unplugged")], live=True)
    capture = Capture(opening(first, AudioUnavailableError("not yet"), Tape([2, 3], live=True)))
    found = list(items(capture))
    assert heard(found) == [(1, False), (2, True), (3, False)]
    assert [item for item in found if not isinstance(item, Arrival)] == [
        Opened("tape"),
        Lost("unplugged"),
        Opened("tape"),
        End(None),
    ]
    assert capture.reconnects == 1


def test_a_source_that_is_not_there_at_first_is_waited_for_by_a_patient_capture() -> None:
    attempts = AudioUnavailableError("no microphone"), AudioUnavailableError("none yet"), Tape([1, 2], live=True)
    found = list(items(Capture(opening(*attempts), patient=True)))
    assert found[:2] == [Lost("no microphone"), Opened("tape")]
    assert heard(found) == [(1, False), (2, False)]


def test_a_source_that_is_not_there_at_first_is_the_end_of_any_other() -> None:
    error = AudioUnavailableError("no microphone")
    assert list(items(Capture(opening(error)))) == [End(error)]


def test_closing_ends_the_wait_for_a_source() -> None:
    before = threading.active_count()
    capture = Capture(opening(AudioUnavailableError("no microphone")), patient=True)
    assert capture.next(timeout_s=60) == Lost("no microphone")
    capture.close()
    assert threading.active_count() == before


def test_a_source_that_is_open_only_after_the_capture_was_closed_is_closed_too() -> None:
    late = threading.Event()
    tape = Tape([PAUSE], live=True)

    def open_late() -> Source:
        late.wait()
        return tape

    capture = Capture(open_late)
    capture.close()
    late.set()
    assert list(items(capture)) == [Opened("tape"), End(None)]


def test_any_other_error_of_a_source_is_handed_over_after_its_blocks() -> None:
    error = AudioDataError("truncated")
    found = list(items(Capture(opening(Tape([1, error], live=False)))))
    assert heard(found) == [(1, False)]
    assert found[-1] == End(error)


def test_nothing_within_the_time_allowed_is_none() -> None:
    tape = Tape([PAUSE], live=True)
    capture = Capture(opening(tape))
    assert capture.next(timeout_s=60) == Opened("tape")
    assert capture.next(timeout_s=0) is None
    capture.close()


def test_closing_ends_a_source_that_waits_for_room() -> None:
    before = threading.active_count()
    capture = Capture(opening(Tape(list(range(3 * BACKLOG_BLOCKS)), live=False)))
    assert capture.next(timeout_s=60)
    capture.close()
    assert threading.active_count() == before
