"""Subscribes to the events of a running daemon, for Python programs and for ``kwsd listen``."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import zmq

from kwsd.bus import events
from kwsd.bus.address import IPC, check_socket_folder, check_subscribe_address, default_address, is_ipv6
from kwsd.bus.curve import ClientKeys, read_client_keys
from kwsd.bus.events import KeywordEvent
from kwsd.config.load import load_config
from kwsd.errors import AddressError, EventError

MAX_POLL_S = 0.2
"""Maximum duration, in seconds, of one wait in ZeroMQ. If Ctrl+C arrives immediately before a wait, Python handles
Ctrl+C only after the wait."""


class EventMessage(NamedTuple):
    """One event that was received from the daemon.

    Parameters
    ----------
    topic : str
        ``kwsd.keyword.WORD``, ``kwsd.status`` or ``kwsd.monitor``.
    body : bytes
        Body of the event as UTF-8 JSON.
    """

    topic: str
    body: bytes


class Subscription:
    """A subscription to the events of a daemon.

    A subscription can be created before the daemon starts, and it reconnects when the daemon restarts.

    Parameters
    ----------
    address : str, optional
        Event address of the daemon. If the event address is not given, the default address is used.
    keywords : sequence of str, optional
        Keywords whose events are received. If no keywords are given, the events of all keywords are received. Status
        events are received for any choice of keywords.
    keys : ClientKeys, optional
        Keys for a daemon that uses CURVE; see `kwsd.bus.curve.read_client_keys`.
    monitor : bool
        Whether monitor events are also received.

    Raises
    ------
    AddressError
        The address is invalid, or another user can replace the socket of the daemon.
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
        # Last: the daemon publishes a status after this subscription, so a status means that the others are active.
        self._socket.subscribe(events.STATUS_TOPIC)
        self._connected = False
        try:
            self._check_address()
        except AddressError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def receive(self, timeout_s: float | None = None) -> EventMessage | None:
        """Return the next event, or None if no event arrives in time.

        Parameters
        ----------
        timeout_s : float, optional
            Maximum wait in seconds. Without a timeout, the wait is unlimited.

        Raises
        ------
        AddressError
            Another user can replace the socket of the daemon.
        EventError
            The received message is not an event of kwsd, because another program publishes at this address.
        """
        end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._check_address()
            if self._socket.poll(_milliseconds_until(end_s)):
                message = _to_event_message(self._socket.recv_multipart())
                # ZeroMQ may have connected again since the last check.
                self._check_address()
                if self._is_wanted(message.topic):
                    return message
            elif time.monotonic() >= end_s:
                return None

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
        self._context.term()

    def _check_address(self) -> None:
        """Check that other users cannot replace the socket, and connect as soon as the folder of the socket exists."""
        check_socket_folder(self.address)
        missing = self.address.startswith(IPC) and not Path(self.address.removeprefix(IPC)).parent.exists()
        if self._connected or missing:
            return
        try:
            self._socket.connect(self.address)
        except zmq.ZMQError as error:
            raise AddressError(f"cannot subscribe: {error.strerror}") from None
        self._connected = True

    def _is_wanted(self, topic: str) -> bool:
        """Whether the caller has subscribed to a topic.

        ZeroMQ compares only prefixes, so a subscription to "on" also receives the topic "one".
        """
        return self._topics is None or topic == events.STATUS_TOPIC or topic in self._topics


def _to_event_message(frames: list[bytes]) -> EventMessage:
    try:
        topic, body = frames
        return EventMessage(topic.decode(), body)
    except ValueError:
        raise EventError("the message is not an event of kwsd: an event has two frames, a topic and a body") from None


def _milliseconds_until(end_s: float) -> int:
    return max(0, round(1000 * min(MAX_POLL_S, end_s - time.monotonic())))


def subscribe(
    address: str | None = None,
    keywords: Sequence[str] | None = None,
    *,
    client_key: str | Path | None = None,
    server_key: str | Path | None = None,
) -> Iterator[KeywordEvent]:
    """Yield the keyword events of a running daemon.

    The iteration over the events does not end until the caller stops it. The iteration over the events can begin before
    the daemon starts, and continues after the daemon restarts.

    Parameters
    ----------
    address : str, optional
        Event address of the daemon. This event address overrides the address in the configuration, which includes
        ``KWSD_ADDRESS``. If neither the parameter nor the configuration contains an address, `subscribe` uses the
        default address.
    keywords : sequence of str, optional
        Keywords whose events are yielded. If no keywords are given, the events of all keywords are yielded.
    client_key : str or Path, optional
        File with the secret key of the client, whose name ends in ``.key_secret``. The client needs both keys if the
        daemon uses CURVE.
    server_key : str or Path, optional
        File with the public key of the daemon, whose name ends in ``.key``.

    Yields
    ------
    KeywordEvent
        The next keyword event, as soon as the daemon has published the event.

    Raises
    ------
    AddressError
        The address is invalid, or the default address is needed and there is no runtime folder.
    ConfigError
        The configuration or a key file cannot be used.
    EventError
        A received message is not an event that this version can read.
    ValueError
        Only one of `client_key` and `server_key` is given.

    Examples
    --------
    Turn slides by voice while ``kwsd run`` runs in another terminal:

    >>> import subprocess, kwsd
    >>> KEYS = {"left": "Prior", "right": "Next"}
    >>> for event in kwsd.subscribe(keywords=list(KEYS)):  # doctest: +SKIP
    ...     print(f"{event.keyword} with score {event.score:.2f} at {event.time}")
    ...     subprocess.run(["xdotool", "key", KEYS[event.keyword]])
    """
    if (client_key is None) != (server_key is None):
        raise ValueError("client_key and server_key must be given together")
    keys = read_client_keys(Path(client_key), Path(server_key)) if client_key and server_key else None
    with Subscription(address or load_config().config.address, keywords, keys) as subscription:
        while message := subscription.receive():
            event = events.decode_event(message.body)
            if isinstance(event, KeywordEvent):
                yield event
