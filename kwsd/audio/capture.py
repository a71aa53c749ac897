"""The capture thread reads the audio source.

Only the capture thread uses the source, so a slow daemon cannot delay the reading.
"""

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
"""Maximum number of blocks in the queue, which corresponds to two seconds of audio. When the queue is full, new blocks
of a live source are dropped and counted."""

POLL_S = 0.1
"""Maximum time, in seconds, that the thread waits for space in the queue before it checks whether it must end."""

THREAD = "kwsd-capture"

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 3.0
"""Seconds before the first attempt to reopen a lost source, and the longest delay before a later attempt. The delay
doubles after each failed attempt."""


class Arrival(NamedTuple):
    """A block of audio with the time at which its last sample was recorded.

    Parameters
    ----------
    recorded_s : float
        Time in seconds at which the last sample was recorded, on the clock of `kwsd.audio.source.boot_s`.
    """

    block: Block
    recorded_s: float


class Opened(NamedTuple):
    """Item that reports that the source was opened, for the first time or again.

    The name of the source is part of every event.
    """

    name: str


class Lost(NamedTuple):
    """Item that reports that the source was lost or is not available yet.

    The capture tries to open the source again.
    """

    reason: str


class End(NamedTuple):
    """Item that reports that the source has ended, with or without an error."""

    error: Exception | None


Item = Opened | Arrival | Lost | End


class RecordingClock:
    """Estimates the times at which blocks were recorded.

    A block usually arrives immediately after its last sample has been recorded. After the process or the machine was
    stopped, the source first delivers old audio from its buffers without a wait. These old blocks are treated as
    consecutive until the source waits for new audio again.
    """

    def __init__(self) -> None:
        self._arrived_s = math.inf
        self._recorded_s = 0.0
        self._behind = False

    def date(self, block: Block, now_s: float, *, live: bool) -> float:
        """Return the time in seconds at which the last sample of a new block was recorded.

        Parameters
        ----------
        now_s : float
            Current time in seconds on the clock of `kwsd.audio.source.boot_s`; the returned time uses the same clock.
        live : bool
            Whether the block comes from a device, which delivers audio at a constant rate. If a block from a device is
            late, the process or the machine was stopped. If a block from a pipe is late, the writer of the pipe may
            have paused.
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
    """Reads a source in a separate thread, from construction to `close`, and reopens the source after each loss.

    If the daemon falls behind, a live source loses blocks, and the next block is marked with a gap. Other sources wait.

    Parameters
    ----------
    open_source : callable
        Function that returns the open source each time it is called. If the source is not available, the function
        raises `AudioUnavailableError`.
    patient : bool
        Whether to wait for a source that is missing at the start. If the parameter is False, the capture ends with an
        error when the source is missing at the start.
    inbox : Inbox, optional
        Inbox that receives the items; several captures can share one inbox. Without an inbox, `next` returns the items.

    Attributes
    ----------
    dropped : int
        Number of blocks lost because the daemon fell behind.
    reconnects : int
        Number of times that the source was reopened after it had been lost or missing.
    active_s : float
        Value of ``time.monotonic()`` at the latest block or at the latest attempt to open the source. If this time is
        old, the capture thread hangs.
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
        """Return the next item, or None if no item arrives in time; only for a capture without a shared inbox."""
        found = self._inbox.next(timeout_s)
        if found and isinstance(found[1], Arrival):
            self.block_taken(found[1].block)
        return found[1] if found else None

    def block_taken(self, block: Block) -> None:
        """Count a block from the inbox as processed. Until this method is called, the block counts as queued."""
        self._blocks_taken += block.merged
        if not self._room.is_set():
            self._room.set()

    def allow_batch(self, samples: int) -> None:
        """Let the source deliver the next samples in one batch, because no keyword can be detected in these samples.

        The main thread writes the number of samples, and the capture thread reads the number. If the capture thread
        reads an old number, it wakes up once more than necessary but loses no audio.

        Parameters
        ----------
        samples : int
            Number of samples, counted from the end of the block that was taken last.
        """
        self._calm_until = self._blocks_taken + samples // BLOCK_SAMPLES

    @property
    def queued(self) -> int:
        """Number of blocks that have not been processed yet."""
        return self._blocks_put - self._blocks_taken

    def stop(self) -> None:
        """Ask the source to stop, and return without waiting."""
        self._closed.set()
        if self._source:
            self._source.close()

    def close(self) -> None:
        """Stop the source and the capture thread.

        If the thread hangs in a device that does not respond, `close` returns without it.
        """
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
        """Wait for the source and return it, or return None if the capture has been closed."""
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
