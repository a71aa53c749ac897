"""The capture thread: it fetches blocks from a source, so that nothing the daemon does can make it lose audio."""

import threading
import time
from queue import Empty, Full, Queue
from typing import NamedTuple

from kwsd.sources import Block, Source

BACKLOG_BLOCKS = 25
"""Blocks kept for a daemon that falls behind, two seconds of them: older audio is no news."""

POLL_S = 0.1


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


class End(NamedTuple):
    """The source has ended: by itself, or with an error."""

    error: BaseException | None


class Capture:
    """Runs a source in a thread of its own, from construction to `close`.

    Parameters
    ----------
    source : Source
        When the daemon falls behind, a live source loses blocks and the next one says so; any other waits.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._queue: Queue[Arrival | End] = Queue(BACKLOG_BLOCKS)
        self._closed = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._run, name="kwsd-capture", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Arrival | End | None:
        """The next block or the end, or None when neither came in time."""
        try:
            return self._queue.get(timeout=timeout_s)
        except Empty:
            return None

    def close(self) -> None:
        """Stop the source and the thread; a thread stuck in a dead device is left behind."""
        self._closed.set()
        self._source.close()
        self._thread.join(timeout=1)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for block in self._source.blocks():
                self._keep(Arrival(block, time.monotonic()))
                if self._closed.is_set():
                    break
        except Exception as raised:  # noqa: BLE001  handed to the main thread, which raises it
            error = raised
        self._wait_for_room(End(error))

    def _keep(self, arrival: Arrival) -> None:
        if not self._source.live:
            self._wait_for_room(arrival)
            return
        block = arrival.block._replace(gap=arrival.block.gap or self._lost)
        try:
            self._queue.put_nowait(arrival._replace(block=block))
            self._lost = False
        except Full:
            self._lost = True

    def _wait_for_room(self, item: Arrival | End) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
            except Full:
                continue
            return
