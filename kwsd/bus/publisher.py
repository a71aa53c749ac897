"""Publishes events on a ZeroMQ XPUB socket. Each published event has two frames: topic and JSON."""

import time
import uuid
from collections import Counter
from types import TracebackType
from typing import Self

import zmq

from kwsd.bus import events
from kwsd.bus.address import check_publish_address, is_readable
from kwsd.bus.curve import ClientAuthenticator, ServerKeys
from kwsd.bus.events import Event
from kwsd.bus.gate import PeerGate, PeerLimits
from kwsd.errors import AddressError

LINGER_MS = 1000
"""Maximum time, in milliseconds, for which `Publisher.close` waits until the last events are sent. The daemon must stop
within 2 s."""

LIMITS = PeerLimits(
    connections=1024,
    message_bytes=1024,
    message_frames=1,
    subscription_bytes=8192,
    total_bytes=131_072,
)
"""Limits of the subscribers. A topic has about 20 bytes, and ZeroMQ needs 40 bytes of memory for each topic."""

ANSWERS = 20.0
ANSWERS_PER_S = 1.0
"""Maximum number of new subscribers that receive a status immediately, in a burst and per second. Each status is sent
to all subscribers, so a flood of new subscribers could fill the queues of all subscribers. Other new subscribers wait
for the regular status event."""

MAX_SUBSCRIPTIONS_PER_TURN = 1000
"""Maximum number of subscriptions read per iteration; the limit prevents a flood of subscriptions from delaying the
audio."""


class Publisher:
    """Publishes events to any number of subscribers without waiting for any of them.

    Parameters
    ----------
    address : str
        Event address: ``ipc://`` followed by an absolute path, or ``tcp://HOST:PORT``. A host other than loopback
        requires CURVE keys.
    keys : ServerKeys, optional
        CURVE keys. If CURVE keys are given, only the listed clients can subscribe.

    Attributes
    ----------
    run : str
        Identifier of this run of the daemon. The events of each topic are numbered from the start of the run.
    overruns : int
        Number of times that events for a subscriber were dropped because its queue was full. ZeroMQ does not report the
        number of dropped events, but the subscriber finds gaps in the sequence numbers.
    has_monitor_subscribers : bool
        Whether a program subscribes to monitor events. The value is always false on tcp, because monitor events
        describe the audio in detail and are for this user only.

    Raises
    ------
    AddressError
        The address is not allowed, is in use, or cannot be bound.
    """

    def __init__(self, address: str, keys: ServerKeys | None = None) -> None:
        self.has_monitor_subscribers = False
        check_publish_address(address, curve=keys is not None)
        self.address = address
        self.run = uuid.uuid4().hex
        self._sequences: Counter[str] = Counter()
        self.overruns = 0
        self._unanswered = False
        self._answers = ANSWERS
        self._answered_s = time.monotonic()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = LINGER_MS
        self._socket.maxmsgsize = LIMITS.message_bytes
        # Reports every subscription, not only the first to a topic: each new subscriber gets a status at once.
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._authenticator = ClientAuthenticator(self._socket, keys) if keys else None
        try:
            self._gate = PeerGate(self._socket, address, LIMITS)
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
        """Return the sequence number of the next event on a topic. The first is 1."""
        self._sequences[topic] += 1
        return self._sequences[topic]

    def publish(self, event: Event) -> None:
        """Send an event to every subscriber. If the queue of a subscriber is full, the subscriber loses the event."""
        frames = [events.event_topic(event).encode(), events.encode_event(event)]
        # With NODROP, ZeroMQ sends to nobody if one queue is full. The second send drops the event for that queue only.
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            self.overruns += 1
            self._socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._socket.send_multipart(frames)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """Socket on which the main loop waits for new subscriptions."""
        return self._socket

    def read_subscriptions(self) -> bool:
        """Read the subscriptions that have arrived since the previous call, and update `has_monitor_subscribers`.

        Returns
        -------
        bool
            Whether a new subscriber to status events must receive a status now, within the limits of `ANSWERS`.
        """
        for _ in range(MAX_SUBSCRIPTIONS_PER_TURN):
            if not is_readable(self._socket):
                break
            message = self._socket.recv()
            subscribed, topic = message[:1] == b"\x01", message[1:]
            self._unanswered |= subscribed and events.STATUS_TOPIC.encode().startswith(topic)
            # ZeroMQ reports every subscription to a topic, but only the end of the last one.
            if topic == events.MONITOR_TOPIC.encode() and self._gate.on_ipc:
                self.has_monitor_subscribers = subscribed
        now_s = time.monotonic()
        self._answers = min(ANSWERS, self._answers + ANSWERS_PER_S * (now_s - self._answered_s))
        self._answered_s = now_s
        if not self._unanswered or self._answers < 1:
            return False
        self._answers -= 1
        self._unanswered = False
        return True

    def set_client_keys(self, keys: ServerKeys | None) -> None:
        """Replace the list of clients that can subscribe.

        If a key was removed, all connections are closed, and the remaining clients reconnect.
        """
        if not (self._authenticator and keys):
            return
        removed = self._authenticator.clients - keys.clients
        self._authenticator.clients = keys.clients
        if removed:
            self._gate.disconnect_all()

    def close(self) -> None:
        """Send the last events, close the socket and release the address."""
        self._socket.close()
        self._close_authenticator()
        self._context.term()
        self._gate.close()

    def _close_authenticator(self) -> None:
        if self._authenticator:
            self._authenticator.close()
