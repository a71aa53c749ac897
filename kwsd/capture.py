"""The capture thread: it fetches blocks from a source, so that nothing the daemon does can make it lose audio."""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import NamedTuple

from kwsd.errors import AudioLostError, AudioUnavailableError
from kwsd.sources import Block, Source

log = logging.getLogger(__name__)

BACKLOG_BLOCKS = 25
"""Blocks kept for a daemon that falls behind, two seconds of them: older audio is no news."""

POLL_S = 0.1

THREAD = "kwsd-capture"

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 4.0
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


class Lost(NamedTuple):
    """The source went away; it is being opened again."""

    reason: str


class End(NamedTuple):
    """The source has ended: by itself, or with an error."""

    error: Exception | None


Item = Arrival | Lost | End


class Capture:
    """Runs a source in a thread of its own, from construction to `close`, and opens it again whenever it is lost.

    Parameters
    ----------
    source : Source
        When the daemon falls behind, a live source loses blocks and the next one says so; any other waits.
    reopen : callable
        Gives the source anew, or raises `AudioUnavailableError` as long as it is not there.

    Attributes
    ----------
    active_s : float
        ``time.monotonic()`` of the latest block or attempt to open the source: old when the thread hangs.
    dropped : int
        Blocks lost because the daemon fell behind.
    reconnects : int
        Times that the source was opened again.
    """

    def __init__(self, source: Source, reopen: Callable[[], Source]) -> None:
        self.source = source
        self._reopen = reopen
        self._queue: Queue[Item] = Queue(BACKLOG_BLOCKS)
        self._closed = threading.Event()
        self._gap = False
        self.active_s = time.monotonic()
        self.dropped = 0
        self.reconnects = 0
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Item | None:
        """What happened next, or None when nothing did in time."""
        try:
            return self._queue.get(timeout=timeout_s)
        except Empty:
            return None

    @property
    def queued(self) -> int:
        """Blocks that wait for `next`."""
        return self._queue.qsize()

    def close(self) -> None:
        """Stop the source and the thread; a thread stuck in a dead device is left behind."""
        self._closed.set()
        self.source.close()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                try:
                    self._fetch()
                except AudioLostError as lost:
                    self._gap = True
                    self._put(Lost(str(lost)))
                    self._wait_for_source()
                else:
                    self._put(End(None))
                    return
        except Exception as error:  # noqa: BLE001  handed to the main thread, which raises it
            self._put(End(error))

    def _fetch(self) -> None:
        for block in self.source.blocks():
            self.active_s = time.monotonic()
            arrival = Arrival(block, self.active_s)
            if self.source.live:
                self._put_or_drop(arrival)
            else:
                self._put(arrival)

    def _wait_for_source(self) -> None:
        delay_s = FIRST_RETRY_S
        while not self._closed.wait(delay_s):
            delay_s = min(2 * delay_s, LAST_RETRY_S)
            self.active_s = time.monotonic()
            try:
                self.source = self._reopen()
            except AudioUnavailableError as error:
                log.debug("not back yet: %s", error)
            else:
                self.reconnects += 1
                return

    def _put_or_drop(self, arrival: Arrival) -> None:
        block = arrival.block._replace(gap=arrival.block.gap or self._gap)
        try:
            self._queue.put_nowait(arrival._replace(block=block))
            self._gap = False
        except Full:
            self.dropped += 1
            self._gap = True

    def _put(self, item: Item) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
            except Full:
                continue
            return


def left_behind() -> bool:
    """Whether a capture thread is still running in this process."""
    return any(thread.name == THREAD for thread in threading.enumerate())
