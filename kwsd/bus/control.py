"""The control socket: requests to a running daemon and its replies; see ``docs/control.md``."""

import socket as sockets
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Annotated, Literal

import msgspec
import zmq

from kwsd.bus.address import IPC, check_control_address, check_socket_folder, control_address, is_readable
from kwsd.bus.events import StatusEvent
from kwsd.bus.gate import PeerGate, PeerLimits
from kwsd.errors import AddressError, ControlError, KwsdError

MAX_REQUEST_BYTES = 4096
"""Maximum size of a request. ZeroMQ closes the connection of a client that sends a larger one."""

LIMITS = PeerLimits(connections=64, message_bytes=MAX_REQUEST_BYTES, message_frames=16)
"""Limits of the clients. A request has two frames, and each program on its way may add one."""

QUEUED_REPLIES = 32
"""Maximum number of replies that wait for one client. A client that reads none loses the others."""

MAX_REQUESTS_PER_TURN = 8
"""Maximum number of requests per turn of the daemon's loop, and in each client's queue.

The limit keeps a flood of requests from delaying the audio.
"""

LINGER_MS = 1000
"""Maximum time that `ControlServer.close` waits until the last reply is sent."""

REPLY_TIMEOUT_S = 20.0
"""Maximum wait for a reply. The request ``reload`` may load a SavedModel, which takes several seconds."""

Command = Literal["status", "mute", "unmute", "reload", "stop", "thresholds"]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request to the daemon. The daemon executes the command and then replies with its status."""

    command: Command
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]] = {}
    v: Literal[1] = 1


class Reply(msgspec.Struct, frozen=True):
    """The reply to a request: the status of each stream, or one sentence that says why the request failed.

    With several streams, `status` belongs to the first stream, and `others` to the remaining ones.
    """

    status: StatusEvent | None = None
    error: str = ""
    others: list[StatusEvent] = []


class ControlServer:
    """Replies to requests on a socket that only this user can reach.

    Parameters
    ----------
    address : str
        ``ipc://`` followed by an absolute path.

    Raises
    ------
    AddressError
        The address is not allowed, in use, or cannot be bound.
    """

    def __init__(self, address: str) -> None:
        check_control_address(address)
        self.address = address
        self._context = zmq.Context()
        # Not a REP socket: after an incomplete envelope from one client, it drops the next reply to another client.
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = LINGER_MS
        self._socket.maxmsgsize = MAX_REQUEST_BYTES
        self._socket.rcvhwm = MAX_REQUESTS_PER_TURN
        self._socket.sndhwm = QUEUED_REPLIES
        try:
            self._gate = PeerGate(self._socket, address, LIMITS)
        except AddressError:
            self._context.destroy(linger=0)
            raise

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """Socket to wait on: it has a message when a client has sent a request."""
        return self._socket

    def answer_requests(self, execute: Callable[[Request], list[StatusEvent]]) -> bool:
        """Reply to the requests that have arrived since the last call. Never waits.

        The frames before the first empty frame are the address of the client (rfc.zeromq.org/spec/28). A message
        without an empty frame is ignored.

        Parameters
        ----------
        execute : callable
            Executes a request and returns the status of each stream after it, or raises `KwsdError`.

        Returns
        -------
        bool
            True if a request had arrived. Then more requests may be waiting.
        """
        for request in range(MAX_REQUESTS_PER_TURN):
            if not is_readable(self._socket):
                return request > 0
            frames = self._socket.recv_multipart()
            if b"" in frames:
                end = frames.index(b"") + 1
                reply = _reply_to(frames[end:], execute)
                self._socket.send_multipart([*frames[:end], msgspec.json.encode(reply)])
        return True

    def close(self) -> None:
        """Send the last reply, close the socket and release the address."""
        self._socket.close()
        self._context.term()
        self._gate.close()


def send_request(
    command: Command, address: str | None = None, *, thresholds: Mapping[str, float] | None = None
) -> StatusEvent:
    """Send a request to a running daemon and return the status of its first stream; see `send_request_all_streams`."""
    return send_request_all_streams(command, address, thresholds=thresholds)[0]


def send_request_all_streams(
    command: Command, address: str | None = None, *, thresholds: Mapping[str, float] | None = None
) -> list[StatusEvent]:
    """Send a request to a running daemon and return the status of every stream.

    Parameters
    ----------
    command : str
        What the daemon does before it replies.
    address : str, optional
        Control address of the daemon. Without it, the default address.
    thresholds : mapping, optional
        Thresholds by keyword, in (0, 1], for the command ``thresholds``.

    Returns
    -------
    list of StatusEvent
        The status of each stream after the command.

    Raises
    ------
    AddressError
        The address is not a valid control address, or another user can replace the socket of the daemon.
    ControlError
        No daemon replies, or the daemon rejects the request.
    """
    address = address or control_address()
    check_control_address(address)
    check_socket_folder(address)
    _check_running(address)
    with zmq.Context() as context, closing(context.socket(zmq.REQ)) as socket:
        # Without this, the end of the context would wait for a daemon that does not read the request.
        socket.linger = 0
        socket.connect(address)
        socket.send(msgspec.json.encode(Request(command, dict(thresholds or {}))))
        if not socket.poll(round(REPLY_TIMEOUT_S * 1000)):
            raise ControlError(f"the kwsd at {address} did not reply within {REPLY_TIMEOUT_S:g} s")
        return _decode_reply(socket.recv(), address)


def _reply_to(frames: list[bytes], execute: Callable[[Request], list[StatusEvent]]) -> Reply:
    try:
        request = msgspec.json.decode(b"".join(frames), type=Request)
        status, *others = execute(request)
        return Reply(status, others=others)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Reply(error=f"this is not a valid request: {error}")
    except KwsdError as error:
        return Reply(error=str(error))


def _check_running(address: str) -> None:
    """Check that a daemon listens at an address. ZeroMQ itself would wait; a plain connection fails immediately."""
    with sockets.socket(sockets.AF_UNIX) as probe:
        try:
            probe.connect(address.removeprefix(IPC))
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"no kwsd is running at {address}: start one with  kwsd run") from None
        except OSError as error:
            raise ControlError(f"cannot connect to the kwsd at {address}: {error.strerror}") from None


def _decode_reply(body: bytes, address: str) -> list[StatusEvent]:
    try:
        reply = msgspec.json.decode(body, type=Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(f"the program at {address} is not a kwsd of this version: {error}") from None
    if reply.status is None:
        raise ControlError(reply.error)
    return [reply.status, *reply.others]
