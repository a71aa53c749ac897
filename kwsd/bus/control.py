"""The control socket receives requests to a running daemon and sends its replies; see ``docs/control.md``."""

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
"""Maximum size of a request, in bytes. ZeroMQ closes the connection of a client that sends a larger request."""

LIMITS = PeerLimits(connections=64, message_bytes=MAX_REQUEST_BYTES, message_frames=16)
"""Limits of the clients. A request has two frames, and each program that forwards the request may add one frame."""

QUEUED_REPLIES = 32
"""Maximum number of replies in the queue of one client. If a client does not read its replies, the replies beyond this
limit are lost."""

MAX_REQUESTS_PER_TURN = 8
"""Maximum number of requests per iteration of the daemon's main loop, and in the queue of each client.

The limit on requests per iteration prevents a flood of requests from delaying the audio.
"""

LINGER_MS = 1000
"""Maximum time, in milliseconds, for which `ControlServer.close` waits until the last reply is sent."""

REPLY_TIMEOUT_S = 20.0
"""Maximum wait for a reply, in seconds. The request ``reload`` may load a SavedModel, which takes several seconds."""

Command = Literal["status", "mute", "unmute", "reload", "stop", "thresholds"]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request to the daemon. The daemon executes the command in the request and then replies with its status."""

    command: Command
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]] = {}
    v: Literal[1] = 1


class Reply(msgspec.Struct, frozen=True):
    """The reply to a request: the status of each stream, or one sentence with the reason why the request failed.

    If there are several streams, `status` belongs to the first stream and `others` to the other streams.
    """

    status: StatusEvent | None = None
    error: str = ""
    others: list[StatusEvent] = []


class ControlServer:
    """A server that replies to requests on a socket that only this user can reach.

    Parameters
    ----------
    address : str
        Address of the socket: ``ipc://`` followed by an absolute path.

    Raises
    ------
    AddressError
        The address is not allowed, is in use, or cannot be bound.
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
        """Socket on which the main loop waits for requests of clients."""
        return self._socket

    def answer_requests(self, execute: Callable[[Request], list[StatusEvent]]) -> bool:
        """Reply to the requests that have arrived since the previous call. Never waits.

        The frames before the first empty frame contain the address of the client (rfc.zeromq.org/spec/28). A message
        without an empty frame is ignored.

        Parameters
        ----------
        execute : callable
            Function that executes a request and returns the status of each stream, or raises `KwsdError`.

        Returns
        -------
        bool
            Whether a request had arrived. If a request had arrived, more requests may be waiting.
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
        Command that the daemon executes before it replies.
    address : str, optional
        Control address of the daemon. If the control address is not given, the default address is used.
    thresholds : mapping, optional
        Threshold of each keyword, in (0, 1], for the command ``thresholds``.

    Returns
    -------
    list of StatusEvent
        Status of each stream after the command.

    Raises
    ------
    AddressError
        The address is not a valid control address, or another user can replace the socket of the daemon.
    ControlError
        No reply arrives from a daemon, or the daemon rejects the request.
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
    """Check that a daemon listens at a control address.

    A plain connection fails immediately if no daemon listens, but ZeroMQ would wait.
    """
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
