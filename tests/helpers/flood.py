"""Peers that attack a daemon. ``python flood.py ATTACK ADDRESS [KEY SERVER_KEY]`` repeats an attack until killed.

An attack yields after each step. A test takes a certain number of steps, and the program takes all of them.
"""

import itertools
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import zmq
from zmq.auth import load_certificate

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
CURVE_GREETING = GREETING.replace(b"NULL\0", b"CURVE")
"""Greetings of ZMTP 3.1 (ZeroMQ RFC 37)."""

PARTS = 32_000 * b"\x01\x00"
"""Empty frames of a message that never ends."""

PINGS = 4000 * b"\x04\x07\x04PING\0\0"
REQUESTS = 500 * (b"\x01\x00\x00\x15" + b'{"command":"status"} ')
CLIENTS = 1000
PATIENCE_S = 5.0


def connect(address: str) -> socket.socket:
    """A plain connection to an address of ZeroMQ."""
    if address.startswith("ipc://"):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(address.removeprefix("ipc://"))
    else:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        peer = socket.create_connection((host.replace("0.0.0.0", "127.0.0.1"), int(port)))  # noqa: S104
    peer.settimeout(PATIENCE_S)
    return peer


def handshake(address: str, kind: bytes) -> socket.socket:
    """A connection after the handshake without encryption, of a socket of this kind."""
    body = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4) + kind
    received = b""
    with ExitStack() as stack:
        peer = stack.enter_context(connect(address))
        peer.sendall(GREETING)
        while len(received) < len(GREETING):
            received += receive(peer)
        peer.sendall(bytes([4, len(body)]) + body)
        while b"READY" not in received:
            received += receive(peer)
        stack.pop_all()
    return peer


def receive(peer: socket.socket) -> bytes:
    """Bytes from the other side, which must not have closed the connection."""
    if data := peer.recv(4096):
        return data
    raise ConnectionResetError


def topic_frame(topic: bytes) -> bytes:
    """The subscription to a topic, as ZMTP 3.0 sends it."""
    return b"\x02" + (len(topic) + 1).to_bytes(8) + b"\x01" + topic


def multipart(address: str, kind: bytes) -> Iterator[None]:
    """A message that never ends, of empty frames, and again after the connection was closed."""
    while True:
        with suppress(OSError), handshake(address, kind) as peer:
            while True:
                peer.sendall(PARTS)
                yield
        yield


def multipart_to_events(address: str) -> Iterator[None]:
    """A message that never ends, to the event socket."""
    return multipart(address, b"SUB")


def multipart_to_control(address: str) -> Iterator[None]:
    """A message that never ends, to the control socket."""
    return multipart(address, b"DEALER")


def random_topics(address: str) -> Iterator[None]:
    """100,000 subscriptions to random topics of 1,000 bytes, then the end of the connection, and again."""
    while True:
        with suppress(OSError), handshake(address, b"SUB") as peer:
            for _ in range(1000):
                peer.sendall(b"".join(topic_frame(os.urandom(1000)) for _ in range(100)))
                yield
        yield


def many_subscribers(address: str) -> Iterator[None]:
    """A thousand clients, each with many subscriptions, which stay."""
    peers = []
    with ExitStack() as stack:
        while True:
            with suppress(OSError):
                peers.append(stack.enter_context(handshake(address, b"SUB")))
                peers[-1].sendall(topic_frame(b"") + b"".join(topic_frame(os.urandom(99)) for _ in range(60)))
            if len(peers) == CLIENTS:
                peers.pop(0).close()
            yield


def deaf_subscribers(address: str) -> Iterator[None]:
    """A thousand clients that read nothing. Each new one makes the daemon publish a status."""
    peers = []
    with ExitStack() as stack:
        while True:
            with suppress(OSError):
                peers.append(stack.enter_context(handshake(address, b"SUB")))
                peers[-1].sendall(topic_frame(b""))
            if len(peers) == CLIENTS:
                peers.pop(0).close()
            yield


def half_open(address: str) -> Iterator[None]:
    """Connections that send a part of a handshake, and then nothing more."""
    beginnings = (b"", b"\xff", GREETING, CURVE_GREETING, CURVE_GREETING + b"\x04\xc8\x05HELLO\x01\x00" + bytes(192))
    with ExitStack() as stack:
        for beginning in itertools.cycle(beginnings):
            with suppress(OSError):
                stack.enter_context(connect(address)).sendall(beginning)
            yield


def connections(address: str) -> Iterator[None]:
    """Connections that are closed at once."""
    while True:
        with suppress(OSError):
            connect(address).close()
        yield


def heartbeats(address: str) -> Iterator[None]:
    """Heartbeats without end, whose answers are not read."""
    while True:
        with suppress(OSError), handshake(address, b"SUB") as peer:
            while True:
                peer.sendall(PINGS)
                yield
        yield


def requests(address: str) -> Iterator[None]:
    """Requests without end, whose replies are not read, from many clients."""
    peers = []
    with ExitStack() as stack:
        while True:
            with suppress(OSError):
                peers.append(stack.enter_context(handshake(address, b"DEALER")))
                peers[-1].settimeout(0)
            for peer in peers:
                with suppress(OSError):
                    peer.send(REQUESTS)
            yield


def _with_keys(address: str, kind: int) -> zmq.Socket[bytes]:
    """A client of a daemon with CURVE. Its key is listed."""
    peer: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    peer.linger = 0
    own, server = sys.argv[-2:]
    peer.curve_publickey, secret = load_certificate(own)
    assert secret
    peer.curve_secretkey = secret
    peer.curve_serverkey, _ = load_certificate(server)
    peer.sndhwm = 0
    peer.connect(address.replace("0.0.0.0", "127.0.0.1"))  # noqa: S104
    return peer


def topics_with_key(address: str) -> Iterator[None]:
    """40,000 subscriptions of a listed client over CURVE, then the end of the connection, and again."""
    while True:
        with _with_keys(address, zmq.SUB) as peer:
            for _ in range(40_000):
                peer.subscribe(os.urandom(900))
                yield


def multipart_with_key(address: str) -> Iterator[None]:
    """Messages of 10,000 frames, of a listed client over CURVE."""
    while True:
        with _with_keys(address, zmq.XSUB) as peer:
            for number in itertools.count(1):
                # ZeroMQ sends nothing of a message that is not complete.
                peer.send(b"\x01x", 0 if number % 10_000 == 0 else zmq.SNDMORE)
                yield


TO_EVENTS: tuple[Callable[[str], Iterator[None]], ...] = (
    multipart_to_events,
    random_topics,
    many_subscribers,
    deaf_subscribers,
    half_open,
    connections,
    heartbeats,
)
TO_CONTROL = (multipart_to_control, requests)
WITH_KEY = (topics_with_key, multipart_with_key)
ATTACKS = {attack.__name__: attack for attack in (*TO_EVENTS, *TO_CONTROL, *WITH_KEY)}


def main(attack: str, address: str, *_keys: str) -> None:
    """Repeat an attack until killed."""
    for _ in ATTACKS[attack](address):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
