"""The inbox: all that the daemon's loop waits for, in one wait: what other threads hand over, sockets, and signals."""

import os
import select
import time
import weakref
from collections.abc import Iterable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items in the order in which threads put them; one thread takes them.

    Attributes
    ----------
    called : bool
        Whether one of the sockets woke the latest `next`.
    """

    def __init__(self) -> None:
        # Written in C and without a bound, which each capture keeps for itself.
        self._items: SimpleQueue[T] = SimpleQueue()
        # Closed only when no thread can ring it any more, also none that was left behind in a dead device.
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self._bell).atexit = False
        self._quiet = self._poll([])
        self._everything = self._quiet
        self._rung = False
        self.called = False

    def watch(self, descriptors: Iterable[int]) -> None:
        """Let these file descriptors, and no others, end a wait while they are readable."""
        self._everything = self._poll(descriptors)

    def put(self, item: T) -> None:
        """Hand over an item; from any thread."""
        self._items.put(item)
        os.eventfd_write(self._bell, 1)

    def ring(self) -> None:
        """End the wait, this one or the next; also from a signal handler."""
        self._rung = True
        os.eventfd_write(self._bell, 1)

    def next(self, timeout_s: float, *, sockets: bool = True) -> T | None:
        """The next item, or None when there was none in time, or another reason to wake.

        Parameters
        ----------
        timeout_s : float
            Longest wait, in seconds.
        sockets : bool
            Whether they may end it.
        """
        poll = self._everything if sockets else self._quiet
        end_s = time.monotonic() + timeout_s
        self.called = False
        # A bell that rang for an item which was taken without a wait is no reason to return.
        while self._items.empty():
            if self._rung or self.called:
                self._rung = False
                return None
            ready = poll.poll(1000 * max(0, end_s - time.monotonic()))
            if not ready:
                return None
            for descriptor, _ in ready:
                if descriptor == self._bell:
                    os.eventfd_read(self._bell)
                else:
                    self.called = True
        return self._items.get_nowait()

    def _poll(self, descriptors: Iterable[int]) -> select.poll:
        poll = select.poll()
        for descriptor in (self._bell, *descriptors):
            poll.register(descriptor, select.POLLIN)
        return poll
