"""Lets the main loop of the daemon wait for items of other threads, for sockets and for signals at the same time."""

import math
import os
import time
import weakref
from collections.abc import Iterable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import zmq

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue into which several threads put items and from which one thread takes them in order.

    Attributes
    ----------
    woken_by_socket : bool
        Whether a message on a socket ended the latest call of `next`.
    """

    def __init__(self) -> None:
        # Written in C and without a bound: each capture limits its own blocks.
        self._items: SimpleQueue[T] = SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Closed only when no thread can ring it any more, not even one that hangs in a dead device.
        weakref.finalize(self, os.close, self._bell).atexit = False
        self._without_sockets = self._poller([])
        self._with_sockets = self._without_sockets
        self._rung = False
        self.woken_by_socket = False

    def watch(self, sockets: Iterable["zmq.Socket[bytes]"]) -> None:
        """Watch the given sockets instead of the previous sockets. A message on a watched socket ends a wait."""
        self._with_sockets = self._poller(sockets)

    def put(self, item: T) -> None:
        """Add an item. Any thread may call this method."""
        self._items.put(item)
        os.eventfd_write(self._bell, 1)

    def ring(self) -> None:
        """End the current wait, or end the next wait immediately if the thread is not waiting.

        A signal handler may call this method.
        """
        self._rung = True
        os.eventfd_write(self._bell, 1)

    def next(self, timeout_s: float, *, sockets: bool = True) -> T | None:
        """Return the next item, or None if the wait ended without an item.

        Parameters
        ----------
        timeout_s : float
            Longest wait, in seconds.
        sockets : bool
            Whether a message on a watched socket may end the wait.
        """
        poller = self._with_sockets if sockets else self._without_sockets
        end_s = time.monotonic() + timeout_s
        self.woken_by_socket = False
        # The bell may have rung for an item that was taken without a wait: then the loop waits again.
        while self._items.empty():
            if self._rung or self.woken_by_socket:
                self._rung = False
                return None
            ready = poller.poll(math.ceil(1000 * max(0, end_s - time.monotonic())))
            if not ready:
                return None
            for source, _ in ready:
                if source == self._bell:
                    os.eventfd_read(self._bell)
                else:
                    self.woken_by_socket = True
        return self._items.get_nowait()

    def _poller(self, sockets: Iterable[Any]) -> zmq.Poller:
        poller = zmq.Poller()
        for source in (self._bell, *sockets):
            poller.register(source, zmq.POLLIN)
        return poller
