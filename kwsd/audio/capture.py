"""The capture thread: it alone touches the source, so that nothing the daemon does can make it lose audio."""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from kwsd.audio.inbox import Inbox
from kwsd.audio.source import BLOCK_SAMPLES, MAX_BATCH, Block, Source
from kwsd.errors import AudioLostError, AudioUnavailableError

log = logging.getLogger(__name__)

BACKLOG_BLOCKS = 25
"""Queue limit, two seconds. When the queue is full, a live source loses its new blocks, and they are counted."""

POLL_S = 0.1

THREAD = "kwsd-capture"

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 3.0
"""Seconds between attempts to open a lost source, doubled each time up to the last: it listens again within five."""


class Arrival(NamedTuple):
    """A block and when it came.

    Parameters
    ----------
    block : Block
    monotonic_s : float
        ``time.monotonic()`` at the moment it was complete.
    """

    block: Block
    monotonic_s: float


class Opened(NamedTuple):
    """The source is open, now or again; its name is for people and for events."""

    name: str


class Lost(NamedTuple):
    """The source went away, or is not there yet; it is being opened again."""

    reason: str


class End(NamedTuple):
    """The source has ended: by itself, or with an error."""

    error: Exception | None


Item = Opened | Arrival | Lost | End


class Capture:
    """Runs a source in a thread of its own, from construction to `close`, and opens it again whenever it is lost.

    When the daemon falls behind, a live source loses blocks and the next one says so; any other waits.

    Parameters
    ----------
    open_source : callable
        Gives the source, for the first time and anew, or raises `AudioUnavailableError` as long as it is not there.
    patient : bool
        Whether a source that is not there at first is waited for; it is the end without.
    inbox : Inbox, optional
        Shared with other captures; one of its own without it.

    Attributes
    ----------
    dropped : int
        Blocks lost because the daemon fell behind.
    reconnects : int
        Times that the source was opened after it was lost, or was not there.
    active_s : float
        ``time.monotonic()`` of the latest block or attempt to open the source. It is old when the thread hangs.
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
        # Each is changed by one thread alone.
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
        """What happened next, or None when nothing did in time; for a capture with an inbox of its own."""
        found = self._inbox.next(timeout_s)
        if found and isinstance(found[1], Arrival):
            self.block_taken(found[1].block)
        return found[1] if found else None

    def block_taken(self, block: Block) -> None:
        """A block from the inbox is being processed; one that is only held still counts as queued."""
        self._blocks_taken += block.merged
        if not self._room.is_set():
            self._room.set()

    def allow_batch(self, samples: int) -> None:
        """Let the source deliver the next samples in one batch, because no detection can occur in them.

        The main thread writes the limit and the capture thread reads it: a stale value costs a wake-up, no audio.

        Parameters
        ----------
        samples : int
            Counted from the end of the block that was taken last.
        """
        self._calm_until = self._blocks_taken + samples // BLOCK_SAMPLES

    @property
    def queued(self) -> int:
        """Blocks that wait to be processed."""
        return self._blocks_put - self._blocks_taken

    def stop(self) -> None:
        """Stop the source soon, without waiting for it."""
        self._closed.set()
        if self._source:
            self._source.close()

    def close(self) -> None:
        """Stop the source and the thread; a thread stuck in a dead device is left behind."""
        self.stop()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        try:
            source = self._first_source()
            while source:  # also one that is closed already: it lets go of its device at the end of its blocks
                try:
                    self._fetch(source)
                except AudioLostError as lost:
                    source = self._wait_for_source(str(lost))
                else:
                    self._put(End(None))
                    return
        except Exception as error:  # noqa: BLE001  handed to the main thread, which raises it
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
        for block in source.blocks():
            self.active_s = time.monotonic()
            arrival = Arrival(block, self.active_s)
            if source.live:
                self._put_or_drop(arrival)
                # The block in which a detection can occur closes the batch.
                source.batch = min(max(1, self._calm_until - self._blocks_put + 1), MAX_BATCH)
            else:
                self._put_when_there_is_room(arrival)

    def _wait_for_source(self, reason: str) -> Source | None:
        """The source when it is there again; None when the capture is closed before."""
        self._gap = True
        self._put(Lost(reason))
        delay_s = FIRST_RETRY_S
        while not self._closed.wait(delay_s):
            delay_s = min(2 * delay_s, LAST_RETRY_S)
            try:
                source = self._open()
            except AudioUnavailableError as error:
                log.debug("not there yet: %s", error)
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
            arrival = Arrival(arrival.block._replace(gap=True), arrival.monotonic_s)
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
    """Whether a capture thread is still running in this process."""
    return any(thread.name == THREAD for thread in threading.enumerate())
