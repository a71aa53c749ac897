"""The control socket: asks a running daemon for its status, mutes, reloads and stops it; see ``docs/control.md``."""

import socket as sockets
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Annotated, Literal

import msgspec
import zmq

from kwsd.bus.address import IPC, bind_socket, check_control_address, control_address, is_readable
from kwsd.bus.events import StatusEvent
from kwsd.errors import AddressError, ControlError, KwsdError

MAX_REQUEST_BYTES = 4096
"""ZeroMQ cuts the connection of whoever sends more."""

MAX_REQUESTS_PER_TURN = 8
"""Requests answered at each look, and kept for each client: a flood of them must not hold up the audio."""

LINGER_MS = 1000
"""How long closing waits for the last answer to leave."""

REPLY_TIMEOUT_S = 20.0
"""Longest wait for an answer: loading a SavedModel takes several seconds."""

Command = Literal["status", "mute", "unmute", "reload", "stop", "thresholds"]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the daemon shall do; it answers with its status after that."""

    command: Command
    thresholds: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]] = {}
    v: Literal[1] = 1


class Reply(msgspec.Struct, frozen=True):
    """The status, or one sentence that says why the request was not fulfilled.

    Where there are several streams, `status` is that of the first of them, and `others` are those of the others.
    """

    status: StatusEvent | None = None
    error: str = ""
    others: list[StatusEvent] = []


class ControlServer:
    """Answers requests on a socket that only this user can reach.

    Parameters
    ----------
    address : str
        ``ipc://`` and an absolute path.

    Raises
    ------
    AddressError
        The address is not allowed, in use, or cannot be bound.
    """

    def __init__(self, address: str) -> None:
        check_control_address(address)
        self.address = address
        self._context = zmq.Context()
        # Not REP: there a client that leaves behind half an envelope lets the next answer, to another, be dropped.
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = LINGER_MS
        self._socket.maxmsgsize = MAX_REQUEST_BYTES
        self._socket.rcvhwm = MAX_REQUESTS_PER_TURN
        try:
            self._guard = bind_socket(self._socket, address)
        except AddressError:
            self._context.destroy(linger=0)
            raise

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """Socket to wait on: it has a message when a client has sent a request."""
        return self._socket

    def answer_requests(self, fulfil: Callable[[Request], list[StatusEvent]]) -> bool:
        """Answer what has been asked since the last call, without ever waiting.

        The frames before the first empty one say who has asked (rfc.zeromq.org/spec/28); what has none is no request.

        Parameters
        ----------
        fulfil : callable
            Does what a request says and gives the status of each stream after it, or raises `KwsdError`.

        Returns
        -------
        bool
            Whether anything had been asked: then there may be more.
        """
        for request in range(MAX_REQUESTS_PER_TURN):
            if not is_readable(self._socket):
                return request > 0
            frames = self._socket.recv_multipart()
            if b"" in frames:
                end = frames.index(b"") + 1
                reply = _reply_to(frames[end:], fulfil)
                self._socket.send_multipart([*frames[:end], msgspec.json.encode(reply)])
        return True

    def close(self) -> None:
        """Let the last answer leave, close the socket and give up the address."""
        self._socket.close()
        self._context.term()
        if self._guard:
            self._guard.release()


def send_request(
    command: Command, address: str | None = None, *, thresholds: Mapping[str, float] | None = None
) -> StatusEvent:
    """Send a request to a running daemon; see `send_request_to_all`.

    Returns
    -------
    StatusEvent
        The daemon's status when it has fulfilled the request; of several streams, that of the first.
    """
    return send_request_to_all(command, address, thresholds=thresholds)[0]


def send_request_to_all(
    command: Command, address: str | None = None, *, thresholds: Mapping[str, float] | None = None
) -> list[StatusEvent]:
    """Send a request to a running daemon.

    Parameters
    ----------
    command : str
    address : str, optional
        Of the control socket; the default one without it.
    thresholds : mapping, optional
        Keyword to threshold, for the command ``thresholds``.

    Returns
    -------
    list of StatusEvent
        The status of each stream when the daemon has fulfilled the request.

    Raises
    ------
    AddressError
        The address is no control socket's.
    ControlError
        No daemon answers, or it refuses.
    """
    address = address or control_address()
    check_control_address(address)
    _check_running(address)
    with zmq.Context() as context, closing(context.socket(zmq.REQ)) as socket:
        socket.linger = 0
        socket.connect(address)
        socket.send(msgspec.json.encode(Request(command, dict(thresholds or {}))))
        if not socket.poll(round(REPLY_TIMEOUT_S * 1000)):
            raise ControlError(f"the kwsd at {address} did not answer within {REPLY_TIMEOUT_S:g} s")
        return _decode_reply(socket.recv(), address)


def _reply_to(frames: list[bytes], fulfil: Callable[[Request], list[StatusEvent]]) -> Reply:
    try:
        request = msgspec.json.decode(b"".join(frames), type=Request)
        status, *others = fulfil(request)
        return Reply(status, others=others)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Reply(error=f"this is no request: {error}")
    except KwsdError as error:
        return Reply(error=str(error))


def _check_running(address: str) -> None:
    """ZeroMQ waits for a daemon that is not there; a plain connection tells at once."""
    with sockets.socket(sockets.AF_UNIX) as probe:
        try:
            probe.connect(address.removeprefix(IPC))
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"no kwsd is running at {address}: start one with  kwsd run") from None
        except OSError as error:
            raise ControlError(f"cannot ask the kwsd at {address}: {error.strerror}") from None


def _decode_reply(body: bytes, address: str) -> list[StatusEvent]:
    try:
        reply = msgspec.json.decode(body, type=Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ControlError(f"what listens at {address} is no kwsd of this version: {error}") from None
    if reply.status is None:
        raise ControlError(reply.error)
    return [reply.status, *reply.others]
