"""The inbox: what ends a wait, and what does not."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from kwsd.audio.inbox import Inbox


@pytest.fixture
def inbox() -> Inbox[int]:
    return Inbox()


@pytest.fixture
def caller(inbox: Inbox[int]) -> Iterator["zmq.Socket[bytes]"]:
    """A socket whose messages reach the socket that the inbox watches."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as here, context.socket(zmq.PAIR) as there:
        here.bind("inproc://inbox")
        there.connect("inproc://inbox")
        inbox.watch([here])
        yield there


def test_items_come_in_order_and_then_nothing(inbox: Inbox[int]) -> None:
    for item in (1, 2, 3):
        inbox.put(item)
    assert [inbox.next(60), inbox.next(60), inbox.next(60), inbox.next(0)] == [1, 2, 3, None]


def test_an_item_of_another_thread_ends_the_wait(inbox: Inbox[int]) -> None:
    inbox.put(1)
    assert inbox.next(60) == 1  # without a wait: its bell is still to be heard, and must not end the next one
    threading.Timer(0.1, inbox.put, [2]).start()
    assert inbox.next(60) == 2


@pytest.mark.parametrize("waits", [True, False], ids=["during a wait", "before it"])
def test_ringing_ends_one_wait(inbox: Inbox[int], *, waits: bool) -> None:
    if waits:
        threading.Timer(0.1, inbox.ring).start()
    else:
        inbox.ring()
    assert inbox.next(60) is None
    assert not inbox.woken_by_socket
    inbox.put(1)
    assert inbox.next(60) == 1


def test_a_socket_ends_the_wait_and_is_said_to_have_called(inbox: Inbox[int], caller: "zmq.Socket[bytes]") -> None:
    caller.send(b"!")
    assert (inbox.next(60), inbox.woken_by_socket) == (None, True)
    inbox.put(1)
    assert (inbox.next(60), inbox.woken_by_socket) == (1, False)


def test_a_socket_that_nobody_asks_about_ends_no_wait(inbox: Inbox[int], caller: "zmq.Socket[bytes]") -> None:
    caller.send(b"!")
    assert (inbox.next(0, sockets=False), inbox.woken_by_socket) == (None, False)
    threading.Timer(0.1, inbox.put, [1]).start()
    assert (inbox.next(60, sockets=False), inbox.woken_by_socket) == (1, False)


def test_a_socket_that_is_watched_no_longer_ends_no_wait(inbox: Inbox[int], caller: "zmq.Socket[bytes]") -> None:
    caller.send(b"!")
    inbox.watch([])
    assert (inbox.next(0), inbox.woken_by_socket) == (None, False)


def test_its_descriptor_is_closed_with_the_last_one_who_knows_it() -> None:
    before = set(Path("/proc/self/fd").iterdir())
    inbox: Inbox[int] = Inbox()
    assert set(Path("/proc/self/fd").iterdir()) > before
    del inbox
    assert set(Path("/proc/self/fd").iterdir()) <= before
