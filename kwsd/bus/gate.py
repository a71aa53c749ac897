"""Limits the data that peers can send to a ZeroMQ socket.

libzmq limits the size of a frame, but not the number of frames in a message or the topics of a subscriber. libzmq
stores the frames and the topics in the memory of the daemon. `PeerGate` therefore accepts all connections, checks the
frames, and forwards the valid frames to ZeroMQ. See ``docs/decisions/15-gate.md``.
"""

import math
import os
import select
import socket
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import zmq

from kwsd.bus.address import IPC, bind_listener

READ_BYTES = 1024
"""Number of bytes read from a peer in one step; the limit prevents a single peer from occupying the thread."""

WRITE_BYTES = 2048
"""Number of bytes read from ZeroMQ in one step. Most events fit into one step."""

BACKLOG_BYTES = 1_500_000
"""Maximum backlog, in bytes, of a peer that reads slowly or not at all, which corresponds to about 1,000 events."""

ALL_BACKLOGS_BYTES = 3_000_000
"""Maximum sum of the backlogs of all peers, in bytes. When the sum of the backlogs reaches this limit, the backlogs do
not grow. Further events for a peer then wait in ZeroMQ."""

FULL_PEERS = 64
"""Maximum number of peers whose backlog cannot grow. The queue of each full peer takes up to 60 kB of memory in
ZeroMQ. If the backlogs of more peers are full, the gate disconnects the peer whose backlog has been full for the
longest time."""

SOCKET_BUFFER_BYTES = 16_384
"""Size, in bytes, of each buffer that the kernel keeps for a connection. With the default of 200 kB, the buffers of all
connections would need 400 MB."""

HANDSHAKE_S = 10.0
"""Maximum duration of a handshake, in seconds. If the handshake takes longer than the limit, the gate closes the
connection."""

CREDIT = 8192.0
"""Maximum number of steps in a burst; a thousand subscribers that connect at the same time need about 8,000."""

CREDIT_PER_S = 1000.0
"""Maximum average number of steps per second. A step takes about 0.1 ms, so a flood of data takes at most 10 % of a
core."""

CONNECTION_STEPS = 5
"""Number of steps that are charged for a new connection."""

FRAMES_PER_STEP = 16
TOPIC_BYTES_PER_STEP = 16
"""When a subscriber leaves, ZeroMQ needs up to 4 ms to delete 1,024 bytes of topics, which corresponds to 64 steps."""

STRANGERS_PER_TURN = 64
"""Maximum number of peers that are served before the thread sends events to other peers."""

PAUSE_S = 0.02
"""Seconds that the thread waits if it has used up its steps."""

FLUSH_S = 0.5
"""Maximum time, in seconds, for which `PeerGate.close` waits for peers to receive their last events. The daemon must
stop within 2 s."""

GREETING_BYTES = 64
"""Size of the greeting of ZMTP 3, in bytes (ZeroMQ RFC 37)."""

SIGNATURE = b"\xff"
VERSION_AT = 10
VERSION = 3
MECHANISM_AT = slice(12, 32)
"""First byte of the greeting, and positions of the version and of the mechanism in the greeting."""

MORE, LARGE, COMMAND = 1, 2, 4
"""Flags in the first byte of a frame (ZeroMQ RFC 37)."""

MIN_COST_BYTES = 32
"""Minimum cost of a subscription in bytes, because ZeroMQ stores at least this number of bytes for each
subscription."""

CURVE_OVERHEAD_BYTES = 33
"""Number of bytes that CURVE adds to each frame: the command name, the nonce, the flags and the authenticator (RFC
26)."""

HANDSHAKE_ENDS = (b"\x05READY", b"\x08INITIATE")
"""The last command of a client in its handshake, without encryption and with CURVE."""

HEARTBEATS = (b"\x04PING", b"\x04PONG")


class PeerLimits(NamedTuple):
    """Limits for the data that the peers of a socket can send.

    The gate closes the connection of a peer that exceeds a limit.

    Parameters
    ----------
    connections : int
        Maximum number of connections; further peers wait until a connection ends.
    message_bytes : int
        Maximum size of a message in bytes, which is the sum of its frames.
    message_frames : int
        Maximum number of frames in a message.
    subscription_bytes : int
        Maximum sum of the topics, in bytes, that a peer sends during its connection. The value zero means that the
        peers do not subscribe.
    total_bytes : int
        Maximum sum of the topics of all connected peers, in bytes. If the sum exceeds the limit, the gate disconnects
        the peer that has sent the most topics.
    """

    connections: int
    message_bytes: int
    message_frames: int
    subscription_bytes: int = 0
    total_bytes: int = 0


class _LimitExceededError(Exception):
    """Raised when a peer exceeds a limit or does not use ZMTP 3."""


class _Parser:
    """Finds and checks the frames in the bytes of a peer.

    Attributes
    ----------
    handshaken : bool
        Whether the peer has sent the last command of its handshake.
    cost : int
        Number of bytes of the topics that the peer has sent so far.
    steps : float
        Number of steps that the latest call of `feed` has cost.
    """

    __slots__ = ("_bytes", "_frames", "_greeting", "_limits", "_overhead", "_rest", "cost", "handshaken", "steps")

    def __init__(self, limits: PeerLimits) -> None:
        self._limits = limits
        self._greeting = b""
        self._rest = b""
        self._overhead = 0
        self._frames = 0
        self._bytes = 0
        self.handshaken = False
        self.cost = 0
        self.steps = 0.0

    def feed(self, data: bytes) -> bytes:
        """Process the next bytes of the peer, and return the greeting and the complete frames for ZeroMQ."""
        self.steps = 1.0
        missing = GREETING_BYTES - len(self._greeting)
        passed = data[:missing]
        if passed:
            self._greeting += passed
            self._check_greeting()
        data = self._rest + data[missing:]
        position = 0
        while (end := self._frame_end(data, position)) <= len(data):
            self._check_frame(data[position], data[position + (9 if data[position] & LARGE else 2) : end])
            position = end
        self._rest = data[position:]
        return passed + data[:position]

    def _check_greeting(self) -> None:
        found = self._greeting
        # Older versions have a shorter greeting. Since 2013, libzmq 4 uses version 3.
        if not found.startswith(SIGNATURE) or (len(found) > VERSION_AT and found[VERSION_AT] < VERSION):
            raise _LimitExceededError
        if len(found) == GREETING_BYTES and found[MECHANISM_AT].rstrip(b"\0") == b"CURVE":
            self._overhead = CURVE_OVERHEAD_BYTES

    def _frame_end(self, data: bytes, position: int) -> int:
        """Return the position after a frame.

        If the frame is incomplete, the returned position is beyond the end of the data.
        """
        header = 9 if data[position : position + 1] > b"" and data[position] & LARGE else 2
        if len(data) < position + header:
            return len(data) + 1
        size = int.from_bytes(data[position + 1 : position + header])
        if data[position] > MORE | LARGE | COMMAND or size > self._limits.message_bytes:
            raise _LimitExceededError
        return position + header + size

    def _check_frame(self, flags: int, body: bytes) -> None:
        self.steps += 1 / FRAMES_PER_STEP
        if not self.handshaken:
            if not flags & COMMAND:
                raise _LimitExceededError
            self.handshaken = body.startswith(HANDSHAKE_ENDS)
            return
        if flags & COMMAND and body.startswith(HEARTBEATS):
            return
        self._frames += 1
        self._bytes += len(body)
        if self._frames + (flags & MORE) > self._limits.message_frames or self._bytes > self._limits.message_bytes:
            raise _LimitExceededError
        if not flags & MORE:
            self._frames = self._bytes = 0
        if self._limits.subscription_bytes:
            cost = max(MIN_COST_BYTES, len(body) - self._overhead)
            self.steps += cost / TOPIC_BYTES_PER_STEP
            self.cost += cost
            if self.cost > self._limits.subscription_bytes:
                raise _LimitExceededError


class _Peer:
    """A connection from a peer, and the corresponding connection to ZeroMQ.

    Parameters
    ----------
    client, server : socket
        The two connections.
    parser : _Parser
        Object that checks the frames that the peer sends.

    Attributes
    ----------
    to_client : bytearray
        Events that the peer has not received yet.
    to_server : bytes
        Bytes that ZeroMQ has not received yet. While ZeroMQ has not received these bytes, the gate does not read more
        from the peer.
    answer : bytes
        Number of bytes that ZeroMQ has sent in the handshake so far.
    ended : bool
        Whether ZeroMQ has closed its side of the connection. The peer still receives its backlog.
    answered : bool
        Whether ZeroMQ has sent the last command of its handshake.
    counted : int
        Number of bytes of topics of this peer that are included in the sum of all peers.
    late_s : float
        Value of ``time.monotonic()`` at which the handshake must have ended.
    watched : dict
        Maps a poll object and a file descriptor to the events that the poll object reports.
    """

    __slots__ = (
        "answer",
        "answered",
        "client",
        "counted",
        "ended",
        "late_s",
        "parser",
        "server",
        "to_client",
        "to_server",
        "watched",
    )

    def __init__(self, client: socket.socket, server: socket.socket, parser: _Parser) -> None:
        self.client = client
        self.server = server
        self.parser = parser
        self.to_client = bytearray()
        self.to_server = b""
        self.answer = b""
        self.answered = False
        self.ended = False
        self.counted = 0
        self.late_s = time.monotonic() + HANDSHAKE_S
        self.watched: dict[tuple[select.epoll, int], int] = {}

    @property
    def closed(self) -> bool:
        """Whether the gate has closed the connection."""
        return self.client.fileno() < 0

    @property
    def established(self) -> bool:
        """Whether the peer and ZeroMQ have completed the handshake."""
        return self.parser.handshaken and self.answered

    def flush(self) -> None:
        """Send as many bytes as both connections can accept."""
        del self.to_client[: _send(self.client, self.to_client)]
        self.to_server = self.to_server[_send(self.server, self.to_server) :]

    def watch(self, poll: select.epoll, connection: socket.socket, events: int) -> None:
        """Choose the events of a connection that a poll object must report."""
        key = (poll, connection.fileno())
        before = self.watched.get(key, 0)
        if events == before:
            return
        if not before:
            poll.register(connection, events)
        elif events:
            poll.modify(connection, events)
        else:
            # With no events, the poll object would still report a closed connection, again and again.
            poll.unregister(connection)
        self.watched[key] = events


def _send(connection: socket.socket, data: bytes | bytearray) -> int:
    """Send as many bytes as a connection can accept, and return the number of bytes sent."""
    try:
        return connection.send(data) if data else 0
    except BlockingIOError:
        return 0


class PeerGate:
    """Binds a ZeroMQ socket to an address.

    A separate thread accepts all connections and limits the data that peers send. The ZeroMQ socket listens on a
    private address, to which only this process can connect.

    Parameters
    ----------
    bound : zmq.Socket
        The ZeroMQ socket, which the caller must close before the gate.
    address : str
        Public address, which has already been checked.
    limits : PeerLimits
        Limits for the peers of the socket.

    Attributes
    ----------
    on_ipc : bool
        Whether only this user can connect to the address.

    Raises
    ------
    AddressError
        The address is in use or cannot be bound.
    """

    def __init__(self, bound: zmq.Socket[bytes], address: str, limits: PeerLimits) -> None:
        self._listener, self._guard = bind_listener(address)
        self.on_ipc = self._guard is not None
        name = f"kwsd-{uuid.uuid4().hex}"
        self._inner = b"\0" + name.encode()
        bound.handshake_ivl = round(HANDSHAKE_S * 1000)
        bound.backlog = limits.connections
        bound.setsockopt(zmq.IPC_FILTER_PID, os.getpid())
        bound.bind(f"{IPC}@{name}")
        self._limits = limits
        self._peers: dict[int, _Peer] = {}
        self._total = 0
        self._backlogs = 0
        # In the order in which they became full.
        self._full: dict[_Peer, None] = {}
        self._half_open: deque[_Peer] = deque()
        self._credit = CREDIT
        self._credited_s = time.monotonic()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._cutting = threading.Event()
        self._cut = threading.Event()
        self._closing_s = 0.0
        # Peers and new connections are in a poll object of their own: without credit, the thread ignores them.
        self._strangers = select.epoll()
        self._ready = select.epoll()
        self._ready.register(self._bell, select.EPOLLIN)
        self._ready.register(self._strangers.fileno(), select.EPOLLIN)
        self._listener.settimeout(0)
        self._listener.listen(limits.connections)
        self._strangers.register(self._listener.fileno(), select.EPOLLIN)
        self._accepting = True
        self._thread = threading.Thread(target=self._run, name="kwsd-gate", daemon=True)
        self._thread.start()

    def disconnect_all(self) -> None:
        """Close all connections. The peers of closed connections can connect again."""
        self._cut.clear()
        self._cutting.set()
        os.eventfd_write(self._bell, 1)
        self._cut.wait()

    def close(self) -> None:
        """Send the data that the ZeroMQ socket sent before it was closed, and close all connections."""
        self._closing_s = time.monotonic() + FLUSH_S
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        self._ready.close()
        self._strangers.close()
        os.close(self._bell)
        if self._guard:
            self._guard.release()

    def _run(self) -> None:
        while not self._closing_s or (self._peers and time.monotonic() < self._closing_s):
            self._refill_credit()
            for descriptor, _ in self._ready.poll(self._wait_s()):
                if descriptor == self._bell:
                    os.eventfd_read(self._bell)
                elif descriptor == self._strangers.fileno():
                    self._serve_strangers()
                elif peer := self._peers.get(descriptor):
                    self._serve(peer, self._pass_events)
            if self._cutting.is_set():
                self._cutting.clear()
                self._close_all()
            self._close_late_handshakes()
        self._close_all()
        self._listener.close()

    def _refill_credit(self) -> None:
        now_s = time.monotonic()
        self._credit = min(CREDIT, self._credit + CREDIT_PER_S * (now_s - self._credited_s))
        self._credited_s = now_s
        self._ready.modify(self._strangers.fileno(), select.EPOLLIN if self._credit >= 1 else 0)

    def _wait_s(self) -> float:
        """Return the maximum wait for a connection, in seconds; -1 means an unlimited wait."""
        due_s = self._half_open[0].late_s if self._half_open else math.inf
        if self._closing_s:
            due_s = min(due_s, self._closing_s)
        if self._credit < 1:
            due_s = min(due_s, self._credited_s + PAUSE_S)
        return -1 if due_s == math.inf else max(0, due_s - time.monotonic())

    def _serve_strangers(self) -> None:
        """Run a step for each peer that has sent data and for a new peer, until the allowed steps are used up."""
        for descriptor, _ in self._strangers.poll(0, STRANGERS_PER_TURN):
            if self._credit < 1:
                return
            if descriptor == self._listener.fileno():
                self._accept()
            elif peer := self._peers.get(descriptor):
                self._serve(peer, self._pass_requests)

    def _serve(self, peer: _Peer, step: Callable[[_Peer], None]) -> None:
        """Run a step for a peer. If the step fails, close the connection of the peer."""
        try:
            step(peer)
        except BlockingIOError:
            return
        except (OSError, _LimitExceededError):
            self._close_peer(peer)
        if peer.closed:
            return
        self._total += peer.parser.cost - peer.counted
        peer.counted = peer.parser.cost
        while self._total > self._limits.total_bytes:
            self._close_peer(max(self._peers.values(), key=lambda other: other.counted))

    def _pass_requests(self, peer: _Peer) -> None:
        """Read bytes from a peer and send them to ZeroMQ."""
        data = peer.client.recv(READ_BYTES)
        if not data:
            self._close_peer(peer)
            return
        try:
            peer.to_server = peer.parser.feed(data)
        finally:
            self._credit -= peer.parser.steps
        self._flush(peer)

    def _pass_events(self, peer: _Peer) -> None:
        """Read bytes from ZeroMQ and send them to a peer. Bytes in the backlog are sent first."""
        if self._may_grow(peer):
            with suppress(BlockingIOError):
                data = peer.server.recv(WRITE_BYTES)
                peer.ended = not data
                peer.to_client += data
                self._backlogs += len(data)
                if not peer.answered:
                    peer.answer += data
                    peer.answered = HANDSHAKE_ENDS[0] in peer.answer
                    peer.answer = b"" if peer.answered else peer.answer
        self._flush(peer)

    def _may_grow(self, peer: _Peer) -> bool:
        """Whether the backlog of a peer may grow."""
        backlog = len(peer.to_client)
        if peer.ended:
            return False
        return not backlog or (backlog < BACKLOG_BYTES and self._backlogs < ALL_BACKLOGS_BYTES)

    def _flush(self, peer: _Peer) -> None:
        before = len(peer.to_client)
        peer.flush()
        self._backlogs += len(peer.to_client) - before
        if peer.ended and not peer.to_client:
            self._close_peer(peer)
            return
        peer.watch(self._strangers, peer.client, 0 if peer.to_server else select.EPOLLIN)
        peer.watch(self._ready, peer.client, select.EPOLLOUT if peer.to_client else 0)
        wanted = (select.EPOLLIN if self._may_grow(peer) else 0) | (select.EPOLLOUT if peer.to_server else 0)
        peer.watch(self._ready, peer.server, wanted)
        if self._may_grow(peer):
            self._full.pop(peer, None)
            return
        self._full.setdefault(peer)
        if len(self._full) > FULL_PEERS:
            self._close_peer(next(iter(self._full)))

    def _accept(self) -> None:
        self._credit -= CONNECTION_STEPS
        if len(self._peers) >= 2 * self._limits.connections and not self._make_room():
            self._strangers.unregister(self._listener)
            self._accepting = False
            return
        with suppress(OSError):  # the peer has left, or the system has no file descriptors left
            client, _ = self._listener.accept()
            server = socket.socket(socket.AF_UNIX)
            peer = _Peer(client, server, _Parser(self._limits))
            try:
                _set_options(client)
                server.settimeout(0)
                server.connect(self._inner)
                self._flush(peer)
            except OSError:
                client.close()
                server.close()
                raise
            self._peers |= {client.fileno(): peer, server.fileno(): peer}
            self._half_open.append(peer)

    def _make_room(self) -> bool:
        """Close the oldest connection whose handshake has not ended, if such a connection exists."""
        while self._half_open:
            peer = self._half_open.popleft()
            if not (peer.closed or peer.established):
                self._close_peer(peer)
                return True
        return False

    def _close_late_handshakes(self) -> None:
        now_s = time.monotonic()
        while self._half_open:
            peer = self._half_open[0]
            if not peer.closed and not peer.established:
                if peer.late_s > now_s:
                    return
                self._close_peer(peer)
            self._half_open.popleft()

    def _close_peer(self, peer: _Peer) -> None:
        if peer.closed:
            return
        self._total -= peer.counted
        self._backlogs -= len(peer.to_client)
        self._full.pop(peer, None)
        for connection in (peer.client, peer.server):
            del self._peers[connection.fileno()]
            connection.close()
        if not self._accepting:
            self._strangers.register(self._listener, select.EPOLLIN)
            self._accepting = True

    def _close_all(self) -> None:
        for peer in set(self._peers.values()):
            self._close_peer(peer)
        self._cut.set()


def _set_options(client: socket.socket) -> None:
    client.settimeout(0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    if client.family != socket.AF_UNIX:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        # A machine that disappears without a word keeps its connection only until the kernel notices.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
