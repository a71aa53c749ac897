"""The capture thread reads the source. Nothing else touches the source, so a slow daemon cannot hold up the reading."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from kwsd.audio.inbox import Inbox
from kwsd.audio.source import BLOCK_SAMPLES, MAX_BATCH, STALL_S, Block, Source, boot_s
from kwsd.errors import AudioLostError, AudioUnavailableError
from kwsd.frontend import SAMPLE_RATE

log = logging.getLogger(__name__)

BACKLOG_BLOCKS = 25
"""Queue limit, two seconds. When the queue is full, a live source loses its new blocks, and they are counted."""

POLL_S = 0.1
"""Maximum seconds that the thread waits for room in the queue before it checks whether it must end."""

THREAD = "kwsd-capture"

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 3.0
"""Seconds before the first attempt to open a lost source, and the maximum before a later attempt. The delay doubles
each time."""


class Arrival(NamedTuple):
    """A block, with the time at which its last sample was recorded.

    Parameters
    ----------
    recorded_s : float
        Time on the clock of `kwsd.audio.source.boot_s`.
    """

    block: Block
    recorded_s: float


class Opened(NamedTuple):
    """The source is open, for the first time or again. Its name is part of every event."""

    name: str


class Lost(NamedTuple):
    """The source is gone, or is not there yet. The capture tries to open it again."""

    reason: str


class End(NamedTuple):
    """The source has ended, with or without an error."""

    error: Exception | None


Item = Opened | Arrival | Lost | End


class RecordingClock:
    """Estimates when blocks were recorded.

    A block usually arrives when its last sample has been recorded. But after this process or the machine was stopped,
    the source first delivers old audio from its buffers, without a wait. Each of these blocks follows the previous one,
    until the source waits for new audio again.
    """

    def __init__(self) -> None:
        self._arrived_s = math.inf
        self._recorded_s = 0.0
        self._behind = False

    def date(self, block: Block, now_s: float, *, live: bool) -> float:
        """Return the time at which the last sample of a new block was recorded.

        Parameters
        ----------
        now_s : float
            Current time on the clock of `kwsd.audio.source.boot_s`; the result is on the same clock.
        live : bool
            Whether the block comes from a device, which delivers audio at a constant rate. Then a late block means a
            stop. The writer of a pipe may pause.
        """
        duration_s = len(block.samples) / SAMPLE_RATE
        waited_s, self._arrived_s = now_s - self._arrived_s, now_s
        stalled_s = waited_s if live and waited_s > duration_s + STALL_S else block.stalled_s
        if stalled_s:
            self._behind = True
            # Nothing was there before the stop: otherwise the source would not have waited.
            self._recorded_s = max(self._recorded_s, now_s - stalled_s)
        elif waited_s > duration_s / 2:
            self._behind = False
        self._recorded_s = min(now_s, self._recorded_s + duration_s) if self._behind else now_s
        return self._recorded_s


class Capture:
    """Reads a source in a separate thread, from construction to `close`, and opens it again after each loss.

    If the daemon falls behind, a live source loses blocks, and the next block is marked with a gap. Other sources wait.

    Parameters
    ----------
    open_source : callable
        Returns the open source, each time it is called. Raises `AudioUnavailableError` while there is no source.
    patient : bool
        Whether to wait for a source that is missing at the start. Otherwise the capture ends with an error.
    inbox : Inbox, optional
        Receives the items, and may be shared with other captures. Without it, `next` returns the items.

    Attributes
    ----------
    dropped : int
        Blocks lost because the daemon fell behind.
    reconnects : int
        Times that the source was opened after it had been lost or missing.
    active_s : float
        ``time.monotonic()`` of the latest block or attempt to open the source. An old value means that the thread
        hangs.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        *,
        patient: bool = False,
        inbox: "Inbox[tuple[Capture, Item]] | None" = None,
    ) -> None:
        self._open_source = open_source
        self._patient = patient
        self._source: Source | None = None
        self._inbox: Inbox[tuple[Capture, Item]] = inbox or Inbox()
        # Only one thread writes each of these.
        self._blocks_put = 0
        self._blocks_taken = 0
        self._calm_until = 0
        self._room = threading.Event()
        self._closed = threading.Event()
        self._gap = False
        self.active_s = time.monotonic()
        self.dropped = 0
        self.reconnects = 0
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Item | None:
        """Return the next item, or None if there was none in time; for a capture without a shared inbox."""
        found = self._inbox.next(timeout_s)
        if found and isinstance(found[1], Arrival):
            self.block_taken(found[1].block)
        return found[1] if found else None

    def block_taken(self, block: Block) -> None:
        """Count a block from the inbox as processed. Until then it counts as queued."""
        self._blocks_taken += block.merged
        if not self._room.is_set():
            self._room.set()

    def allow_batch(self, samples: int) -> None:
        """Let the source deliver the next samples in one batch, because no detection can occur in them.

        The main thread writes the limit, and the capture thread reads it. A stale value costs a wake-up, not audio.

        Parameters
        ----------
        samples : int
            Number of samples, from the end of the block that was taken last.
        """
        self._calm_until = self._blocks_taken + samples // BLOCK_SAMPLES

    @property
    def queued(self) -> int:
        """Number of blocks that are not processed yet."""
        return self._blocks_put - self._blocks_taken

    def stop(self) -> None:
        """Stop the source soon, without waiting for it."""
        self._closed.set()
        if self._source:
            self._source.close()

    def close(self) -> None:
        """Stop the source and the thread. A thread that hangs in a dead device is left behind."""
        self.stop()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        try:
            source = self._first_source()
            while source:  # even if it is closed already: only the end of `blocks` releases the device
                try:
                    self._fetch(source)
                except AudioLostError as lost:
                    source = self._wait_for_source(str(lost))
                else:
                    self._put(End(None))
                    return
        except Exception as error:  # noqa: BLE001  the main thread raises it
            self._put(End(error))

    def _first_source(self) -> Source | None:
        try:
            return self._open()
        except AudioUnavailableError as error:
            if not self._patient:
                raise
            return self._wait_for_source(str(error))

    def _open(self) -> Source:
        self.active_s = time.monotonic()
        self._source = self._open_source()
        if self._closed.is_set():
            self._source.close()
        self._put(Opened(self._source.name))
        return self._source

    def _fetch(self, source: Source) -> None:
        clock = RecordingClock()
        for block in source.blocks():
            self.active_s = time.monotonic()
            arrival = Arrival(block, clock.date(block, boot_s(), live=source.live))
            if source.live:
                self._put_or_drop(arrival)
                # The block in which a detection can occur closes the batch.
                source.batch = min(max(1, self._calm_until - self._blocks_put + 1), MAX_BATCH)
            else:
                self._put_when_there_is_room(arrival)

    def _wait_for_source(self, reason: str) -> Source | None:
        """Return the source when it is there again, or None if the capture has been closed."""
        # Before the first block, no audio can be lost.
        self._gap = self._gap or self._blocks_put > 0
        self._put(Lost(reason))
        delay_s = FIRST_RETRY_S
        while not self._closed.wait(delay_s):
            delay_s = min(2 * delay_s, LAST_RETRY_S)
            try:
                source = self._open()
            except AudioUnavailableError as error:
                log.debug("cannot open the source yet: %s", error)
            else:
                self.reconnects += 1
                return source
        return None

    def _put_or_drop(self, arrival: Arrival) -> None:
        if self.queued >= BACKLOG_BLOCKS:
            self.dropped += arrival.block.merged
            self._gap = True
            return
        if self._gap:
            arrival = Arrival(arrival.block._replace(gap=True), arrival.recorded_s)
            self._gap = False
        self._put_block(arrival)

    def _put_when_there_is_room(self, arrival: Arrival) -> None:
        while self.queued >= BACKLOG_BLOCKS and not self._closed.is_set():
            self._room.clear()
            self._room.wait(POLL_S)
        self._put_block(arrival)

    def _put_block(self, arrival: Arrival) -> None:
        self._blocks_put += arrival.block.merged
        self._put(arrival)

    def _put(self, item: Item) -> None:
        self._inbox.put((self, item))


def left_behind() -> bool:
    """Return whether a capture thread is still running in this process."""
    return any(thread.name == THREAD for thread in threading.enumerate())
