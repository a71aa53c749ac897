"""The publisher: events out on a ZeroMQ XPUB socket, two frames each: topic and JSON."""

import uuid
from collections import Counter
from types import TracebackType
from typing import Self

import zmq

from kwsd.bus import events
from kwsd.bus.address import bind_socket, check_publish_address, is_ipv6, is_readable
from kwsd.bus.curve import ClientAuthenticator, ServerKeys
from kwsd.bus.events import Event
from kwsd.errors import AddressError

LINGER_MS = 1000
"""How long closing waits for the last events to leave: a stopping daemon must be gone within two seconds."""

MAX_TOPIC_BYTES = 1024
"""ZeroMQ cuts the connection of whoever subscribes to a longer topic: there is none."""

MAX_SUBSCRIPTIONS_PER_TURN = 1000
"""Subscriptions taken at each look: a flood of them must not hold up the audio."""


class Publisher:
    """Publishes events to any number of subscribers, without ever waiting for one.

    Parameters
    ----------
    address : str
        ``ipc://`` and an absolute path, or ``tcp://``; beyond loopback only with keys.
    keys : ServerKeys, optional
        Only their clients get anything.

    Attributes
    ----------
    run : str
        Name of this run of the daemon, in which the events of each topic are counted.
    overruns : int
        Times that a subscriber's queue was full, so that it began to lose events. ZeroMQ does not tell how many it
        loses until it reads again; the subscriber sees that in the sequence numbers.
    has_monitor_subscribers : bool
        Whether anybody subscribes to the monitor events. On tcp never: what they tell is for this user alone.

    Raises
    ------
    AddressError
        The address is not allowed, in use, or cannot be bound.
    """

    def __init__(self, address: str, keys: ServerKeys | None = None) -> None:
        self.has_monitor_subscribers = False
        check_publish_address(address, curve=keys is not None)
        self.address = address
        self.run = uuid.uuid4().hex
        self._sequences: Counter[str] = Counter()
        self.overruns = 0
        self._open(keys)

    def _open(self, keys: ServerKeys | None) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = LINGER_MS
        self._socket.maxmsgsize = MAX_TOPIC_BYTES
        self._socket.ipv6 = is_ipv6(self.address)
        # Without it a second subscriber to the same topic would go unnoticed and get no status at once.
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._authenticator = ClientAuthenticator(self._socket, keys) if keys else None
        try:
            self._guard = bind_socket(self._socket, self.address)
        except AddressError:
            self._close_authenticator()
            self._context.destroy(linger=0)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next_sequence(self, topic: str) -> int:
        """Sequence number of the next event on a topic, from 1."""
        self._sequences[topic] += 1
        return self._sequences[topic]

    def publish(self, event: Event) -> None:
        """Hand an event to every subscriber; one that is too slow loses it."""
        frames = [events.event_topic(event).encode(), events.encode_event(event)]
        # A send that must not drop anything fails when a queue is full, and then nobody has the event yet.
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            self.overruns += 1
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._socket.send_multipart(frames)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """Socket to wait on: it has a message when a client subscribes. `set_client_keys` may replace it."""
        return self._socket

    def has_new_subscribers(self) -> bool:
        """Whether anybody has subscribed to the status since the last call."""
        found = False
        for _ in range(MAX_SUBSCRIPTIONS_PER_TURN):
            if not is_readable(self._socket):
                break
            message = self._socket.recv()
            subscribed, topic = message[:1] == b"\x01", message[1:]
            found |= subscribed and events.STATUS_TOPIC.encode().startswith(topic)
            # ZeroMQ tells of every subscription, but only of the last one's end.
            if topic == events.MONITOR_TOPIC.encode() and self._guard:
                self.has_monitor_subscribers = subscribed
        return found

    def set_client_keys(self, keys: ServerKeys | None) -> None:
        """From now on let these clients in, and nobody else.

        ZeroMQ cannot cut a single connection: when a key was taken away all are cut, and the others come again.

        Raises
        ------
        AddressError
            Another program took the address in that moment.
        """
        if not (self._authenticator and keys):
            return
        taken_away = self._authenticator.clients - keys.clients
        self._authenticator.clients = keys.clients
        if taken_away:
            self.close()
            self._open(keys)

    def close(self) -> None:
        """Let the last events leave, close the socket and give up the address."""
        self._socket.close()
        self._close_authenticator()
        self._context.term()
        if self._guard:
            self._guard.release()

    def _close_authenticator(self) -> None:
        if self._authenticator:
            self._authenticator.close()
