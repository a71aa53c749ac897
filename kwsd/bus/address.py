"""Addresses: where sockets are by default, what is allowed, and the guard around an ipc socket."""

import fcntl
import ipaddress
import os
import stat
from pathlib import Path
from typing import IO

import zmq

from kwsd.errors import AddressError

IPC = "ipc://"
TCP = "tcp://"
POLLIN = int(zmq.POLLIN)
"""As a number: operations on pyzmq's own are slow."""

SET_ADDRESS_COMMAND = "export KWSD_ADDRESS=ipc://$HOME/.kwsd/events.sock"
"""What to type where there is no folder for sockets."""

MAX_PATH_BYTES = 107
"""sun_path holds 108 bytes, the last of them a zero (unix(7))."""


def default_address() -> str:
    """``ipc://$XDG_RUNTIME_DIR/kwsd/events.sock``; for root without such a folder, ``ipc:///run/kwsd/events.sock``.

    Raises
    ------
    AddressError
        There is no folder that only this user can write to.
    """
    return f"{IPC}{_runtime_folder()}/events.sock"


def control_address(events: str = "") -> str:
    """Address of the control socket: ``control.sock`` beside the event socket.

    Parameters
    ----------
    events : str
        The event address. On tcp, or without one, the control socket is in the folder of the default address.

    Raises
    ------
    AddressError
        There is no folder that only this user can write to.
    """
    folder = events.removeprefix(IPC).rpartition("/")[0] if events.startswith(IPC) else _runtime_folder()
    return f"{IPC}{folder}/control.sock"


def check_publish_address(address: str, *, curve: bool = False) -> None:
    """Refuse an address that kwsd must not or cannot publish on.

    Parameters
    ----------
    address : str
    curve : bool
        Whether only clients with a listed key get anything there.

    Raises
    ------
    AddressError
        Neither ipc nor tcp, a path that is too long or relative, CURVE on ipc, or no CURVE on tcp beyond loopback.
    """
    if curve and not address.startswith(TCP):
        raise AddressError(f"CURVE is for addresses that begin with {TCP}, not for {address!r}")
    check_subscribe_address(address)
    if address.startswith(TCP) and not curve:
        _check_loopback(address)


def check_subscribe_address(address: str) -> None:
    """Refuse what is no event address, wherever its host may be.

    Raises
    ------
    AddressError
        Neither ipc nor tcp, a path that is too long or relative, or no host and port.
    """
    if address.startswith(IPC):
        _check_path(address.removeprefix(IPC))
    elif address.startswith(TCP):
        host, _, port = address.removeprefix(TCP).rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
            raise AddressError(f"event address {address} does not end in a host and a port from 1 to 65535")
    else:
        raise AddressError(f"event address {address!r} begins neither with {IPC} nor with {TCP}")


def check_control_address(address: str) -> None:
    """Refuse an address where others than this user might steer the daemon.

    Raises
    ------
    AddressError
        Not ipc, or a path that is too long or relative.
    """
    if not address.startswith(IPC):
        raise AddressError(f"control address {address!r} does not begin with {IPC}: a daemon is steered locally only")
    _check_path(address.removeprefix(IPC))


def bind_socket(socket: zmq.Socket[bytes], address: str) -> "IpcGuard | None":
    """Bind a socket; on ipc, under a guard and for this user alone.

    Parameters
    ----------
    socket : zmq.Socket
    address : str
        That has been checked.

    Returns
    -------
    IpcGuard or None
        To be released when the socket is closed.

    Raises
    ------
    AddressError
        The address is in use or cannot be bound.
    """
    guard = IpcGuard(Path(address.removeprefix(IPC))) if address.startswith(IPC) else None
    mask = os.umask(0o077)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if guard:
            guard.release()
        raise AddressError(f"cannot bind: {error.strerror}") from None
    finally:
        os.umask(mask)
    return guard


def is_readable(socket: "zmq.Socket[bytes]") -> bool:
    """Whether a message waits; many times cheaper than a poll of no time, which is made at every look."""
    return bool(int(socket.get(zmq.EVENTS)) & POLLIN)


def is_ipv6(address: str) -> bool:
    """Whether an address names an IPv6 host, which ZeroMQ wants to be told."""
    return address.startswith(f"{TCP}[")


class IpcGuard:
    """Exclusive right to an ipc path, held until `release`.

    ZeroMQ lets a second daemon take over a path in use without a word and leaves the socket file behind when it
    closes, so a lock file decides who may bind, and whoever holds it removes a stale socket.

    Parameters
    ----------
    path : Path
        Of the socket. Its folder is made, for this user alone, if it is not there.

    Raises
    ------
    AddressError
        Another daemon or something else holds the path, or the folder cannot be made or is open to others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _make_private_folder(path.parent)
        if path.exists() and not path.is_socket():
            raise AddressError(f"event address {IPC}{path} is a file or folder of another kind: name another path")
        self._lock = _lock_file(path.with_name(path.name + ".lock"), path)
        path.unlink(missing_ok=True)

    def release(self) -> None:
        """Remove the socket file and give up the path."""
        self._path.unlink(missing_ok=True)
        self._lock.close()


def _runtime_folder() -> Path:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}")
    if runtime.is_dir():
        return runtime / "kwsd"
    if os.geteuid() == 0:
        return Path("/run/kwsd")
    raise AddressError(
        f"there is no runtime folder {runtime}: log in through systemd, or choose another with  {SET_ADDRESS_COMMAND}"
    )


def _check_path(path: str) -> None:
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise AddressError(
            f"address is too long: the path {path} has {length} bytes, a socket's may have {MAX_PATH_BYTES}"
        )
    if not path.startswith("/"):
        raise AddressError(f"address needs an absolute path after {IPC}, not {path!r}")


def _check_loopback(address: str) -> None:
    host, _, _ = address.removeprefix(TCP).rpartition(":")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise AddressError(
            f"event address {address} is not a loopback address: without [curve] in the configuration events would be"
            " open to the whole network"
        )


def _make_private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise AddressError(f"cannot make the folder {folder} for the socket: {error.strerror}") from None
    if found.st_uid != os.geteuid():
        raise AddressError(f"the folder {folder} of the socket belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise AddressError(f"the folder {folder} of the socket can be written by other users: name one of your own")


def _lock_file(lock: Path, path: Path) -> IO[bytes]:
    try:
        file = lock.open("ab")
    except OSError as error:
        raise AddressError(f"cannot lock the address {path}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AddressError(
            f"another kwsd holds {IPC}{path}: stop it, or give this one other addresses (--address, --control)"
        ) from None
    return file
