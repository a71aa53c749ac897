"""The client: events of a running daemon, for programs and for ``kwsd listen``."""

import math
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import zmq

from kwsd.bus import events
from kwsd.bus.address import check_subscribe_address, default_address, is_ipv6
from kwsd.bus.curve import ClientKeys
from kwsd.bus.events import KeywordEvent
from kwsd.errors import AddressError, EventError

MAX_POLL_S = 0.2
"""Longest wait inside ZeroMQ: a Ctrl+C that arrives just before a wait begins is seen after it."""


class EventMessage(NamedTuple):
    """One event as it was published.

    Parameters
    ----------
    topic : str
    body : bytes
        UTF-8 JSON.
    """

    topic: str
    body: bytes


class Subscription:
    """A connection to a daemon. It waits for a daemon that is not there yet and outlives one that is restarted.

    Parameters
    ----------
    address : str, optional
        The default address without it.
    keywords : sequence of str, optional
        Only events of these keywords; all without it. The status comes in any case.
    keys : ClientKeys, optional
        For a daemon with CURVE; see `kwsd.bus.curve.read_client_keys`.
    monitor : bool
        Whether monitor events are to come too.

    Raises
    ------
    AddressError
        The address is none.
    """

    def __init__(
        self,
        address: str | None = None,
        keywords: Sequence[str] | None = None,
        keys: ClientKeys | None = None,
        *,
        monitor: bool = False,
    ) -> None:
        self.address = address or default_address()
        check_subscribe_address(self.address)
        self._topics = None if keywords is None else {events.KEYWORD_TOPIC + word for word in keywords}
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.ipv6 = is_ipv6(self.address)
        if keys:
            self._socket.curve_publickey, self._socket.curve_secretkey = keys.pair
            self._socket.curve_serverkey = keys.server
        for topic in self._topics or [events.KEYWORD_TOPIC]:
            self._socket.subscribe(topic)
        if monitor:
            self._socket.subscribe(events.MONITOR_TOPIC)
        # Last, so that the status that answers it means that the other subscriptions are in place.
        self._socket.subscribe(events.STATUS_TOPIC)
        try:
            self._socket.connect(self.address)
        except zmq.ZMQError as error:
            self.close()
            raise AddressError(f"cannot subscribe: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def receive(self, timeout_s: float | None = None) -> EventMessage | None:
        """The next event, or None when none came in time.

        Parameters
        ----------
        timeout_s : float, optional
            Seconds to wait; for ever without it.

        Raises
        ------
        EventError
            What publishes there is no kwsd.
        """
        end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            if self._socket.poll(_milliseconds_until(end_s)):
                message = _to_event_message(self._socket.recv_multipart())
                if self._wanted(message.topic):
                    return message
            elif time.monotonic() >= end_s:
                return None

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()
        self._context.term()

    def _wanted(self, topic: str) -> bool:
        """ZeroMQ matches topics by prefix: who asks for "on" also receives "one"."""
        return self._topics is None or topic == events.STATUS_TOPIC or topic in self._topics


def _to_event_message(frames: list[bytes]) -> EventMessage:
    try:
        topic, body = frames
        return EventMessage(topic.decode(), body)
    except ValueError:
        raise EventError("what arrived is no event: it has other frames than a topic and a body") from None


def _milliseconds_until(end_s: float) -> int:
    return max(0, round(1000 * min(MAX_POLL_S, end_s - time.monotonic())))


def subscribe(address: str | None = None, keywords: Sequence[str] | None = None) -> Iterator[KeywordEvent]:
    """Keyword events of a running daemon, for ever.

    Parameters
    ----------
    address : str, optional
        As in ``kwsd run --address``; the default address without it.
    keywords : sequence of str, optional
        Only these keywords.

    Yields
    ------
    KeywordEvent

    Raises
    ------
    AddressError
        The address is none.
    EventError
        What publishes there speaks another version.

    Examples
    --------
    >>> for event in kwsd.subscribe(keywords=["left", "right"]):  # doctest: +SKIP
    ...     print(event.time, event.keyword, event.score)
    """
    with Subscription(address, keywords) as subscription:
        while message := subscription.receive():
            event = events.decode_event(message.body)
            if isinstance(event, KeywordEvent):
                yield event
