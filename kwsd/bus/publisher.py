"""Publishes events on a ZeroMQ XPUB socket. Each event has two frames: topic and JSON."""

import os
import uuid
from collections import Counter
from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from kwsd.bus import events
from kwsd.bus.address import IpcGuard, bind_socket, check_publish_address, is_ipv6, is_readable
from kwsd.bus.curve import ClientAuthenticator, ServerKeys
from kwsd.bus.events import Event
from kwsd.errors import AddressError

LINGER_MS = 1000
"""Maximum time that `Publisher.close` waits until the last events are sent. The daemon must stop within 2 s."""

MAX_TOPIC_BYTES = 1024
"""Maximum length of a subscribed topic. Real topics are shorter; ZeroMQ closes the connection after a longer one."""

MAX_SUBSCRIPTIONS_PER_TURN = 1000
"""Maximum number of subscriptions read per turn, so that a flood of them does not delay the audio."""


class Publisher:
    """Publishes events to any number of subscribers and never waits for one.

    Parameters
    ----------
    address : str
        ``ipc://`` followed by an absolute path, or ``tcp://HOST:PORT``. A host beyond loopback requires keys.
    keys : ServerKeys, optional
        CURVE keys. With them, only the clients that they list can subscribe.

    Attributes
    ----------
    run : str
        Identifier of this run of the daemon. The events of each topic are numbered within a run.
    overruns : int
        Number of times that the queue of a subscriber was full and events for it were dropped. ZeroMQ does not
        report how many; the subscriber finds gaps in the sequence numbers.
    has_monitor_subscribers : bool
        Whether a program subscribes to monitor events. Always false on tcp, because they describe the audio in detail
        and are meant for this user only.

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
        self._endpoint = _Endpoint(address, keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next_sequence(self, topic: str) -> int:
        """Sequence number of the next event on a topic. The first is 1."""
        self._sequences[topic] += 1
        return self._sequences[topic]

    def publish(self, event: Event) -> None:
        """Send an event to every subscriber. A subscriber whose queue is full loses it."""
        frames = [events.event_topic(event).encode(), events.encode_event(event)]
        # With NODROP, ZeroMQ sends to nobody if one queue is full. The second send drops the event for that queue only.
        self._endpoint.socket.setsockopt(zmq.XPUB_NODROP, 1)
        try:
            self._endpoint.socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            self.overruns += 1
            self._endpoint.socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._endpoint.socket.send_multipart(frames)

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """Socket to wait on: it has a message when a client subscribes. `set_client_keys` may replace it."""
        return self._endpoint.socket

    def has_new_subscribers(self) -> bool:
        """Whether a program has subscribed to the status since the last call."""
        found = False
        for _ in range(MAX_SUBSCRIPTIONS_PER_TURN):
            if not is_readable(self._endpoint.socket):
                break
            message = self._endpoint.socket.recv()
            subscribed, topic = message[:1] == b"\x01", message[1:]
            found |= subscribed and events.STATUS_TOPIC.encode().startswith(topic)
            # ZeroMQ reports every subscription to a topic, but only the end of the last one.
            if topic == events.MONITOR_TOPIC.encode() and self._endpoint.guard:
                self.has_monitor_subscribers = subscribed
        return found

    def set_client_keys(self, keys: ServerKeys | None) -> None:
        """Replace the list of clients that can subscribe.

        ZeroMQ cannot close a single connection. If a key was removed, all connections are closed, and the remaining
        clients reconnect.

        The new socket listens before the old socket closes. So no other program can take the port in between, and after
        an error the old list is still in force.

        Raises
        ------
        AddressError
            There is no memory, thread or descriptor left for a new socket.
        """
        old = self._endpoint
        if not (old.authenticator and keys):
            return
        if old.authenticator.clients - keys.clients:
            try:
                self._endpoint = _Endpoint(self.address, keys, os.dup(old.listener))
            except (OSError, RuntimeError, zmq.ZMQError) as error:
                raise AddressError(f"cannot open a new socket without the removed clients: {error}") from None
            # Until the old socket is closed, it must not admit them either.
            old.authenticator.clients = keys.clients
            old.close()
        old.authenticator.clients = keys.clients

    def close(self) -> None:
        """Send the last events, close the socket and release the address."""
        self._endpoint.close()


class _Endpoint:
    """A bound socket, with all that belongs to it.

    Parameters
    ----------
    address : str
        An address that has been checked.
    keys : ServerKeys, optional
        CURVE keys.
    listener : int, optional
        Descriptor of a socket that listens on the address already. The endpoint closes it.

    Attributes
    ----------
    listener : int
        With keys, the descriptor of the socket that listens; otherwise -1.

    Raises
    ------
    AddressError
        The address is in use or cannot be bound.
    """

    def __init__(self, address: str, keys: ServerKeys | None, listener: int = -1) -> None:
        self.listener = listener
        self.authenticator: ClientAuthenticator | None = None
        self._context = zmq.Context()
        try:
            self.socket = self._context.socket(zmq.XPUB)
            self.socket.linger = LINGER_MS
            self.socket.maxmsgsize = MAX_TOPIC_BYTES
            self.socket.ipv6 = is_ipv6(address)
            # Reports every subscription, not only the first to a topic: each new subscriber gets a status at once.
            self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
            if keys:
                self.authenticator = ClientAuthenticator(self.socket, keys)
            if listener >= 0:
                self.socket.setsockopt(zmq.USE_FD, os.dup(listener))
            self.guard = self._bind_and_keep_listener(address) if keys else bind_socket(self.socket, address)
        except BaseException:
            self._release()
            self._context.destroy(linger=0)
            raise

    def close(self) -> None:
        """Send the last events, close the socket and release the address."""
        self.socket.close()
        self._release()
        self._context.term()
        if self.guard:
            self.guard.release()

    def _bind_and_keep_listener(self, address: str) -> IpcGuard | None:
        """Bind the socket, and keep a descriptor of the socket that listens, for the endpoint that follows this one."""
        monitor = self.socket.get_monitor_socket(zmq.EVENT_LISTENING)
        try:
            guard = bind_socket(self.socket, address)
            if self.listener < 0:
                self.listener = os.dup(recv_monitor_message(monitor)["value"])
        finally:
            self.socket.disable_monitor()
            monitor.close()
        return guard

    def _release(self) -> None:
        if self.authenticator:
            self.authenticator.close()
        if self.listener >= 0:
            os.close(self.listener)
            self.listener = -1
