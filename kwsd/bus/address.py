"""ZeroMQ addresses: the default addresses, checks of addresses, and the lock that protects an ipc socket."""

import fcntl
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import IO, Any

import zmq

from kwsd.errors import AddressError
from kwsd.system.trust import find_intruder

IPC = "ipc://"
TCP = "tcp://"
POLLIN = int(zmq.POLLIN)
"""The pyzmq flag as an integer, because operations on the flag type of pyzmq are slow."""

SIOCGIFADDR = 0x8915
"""Number of the ioctl request for the address of a network interface (netdevice(7))."""

SET_ADDRESS_COMMAND = "export KWSD_ADDRESS=ipc://$HOME/.kwsd/events.sock"
"""Command that the user can type if the system does not provide a runtime folder for sockets."""

MAX_PATH_BYTES = 107
"""Maximum length of the path of a socket: ``sun_path`` holds 108 bytes, including the final zero byte (unix(7))."""


def default_address() -> str:
    """Return the default event address: ``ipc://$XDG_RUNTIME_DIR/kwsd/events.sock``.

    If root has no runtime folder, the default event address is ``ipc:///run/kwsd/events.sock``.

    Raises
    ------
    AddressError
        The user does not have a runtime folder.
    """
    return f"{IPC}{_runtime_folder()}/events.sock"


def control_address(events: str = "") -> str:
    """Return the address of the control socket, which is ``control.sock`` in the folder of the event socket.

    Parameters
    ----------
    events : str
        The event address. If the event address is a tcp address or empty, the control socket is in the folder of the
        default address.

    Raises
    ------
    AddressError
        The user does not have a runtime folder.
    """
    folder = events.removeprefix(IPC).rpartition("/")[0] if events.startswith(IPC) else _runtime_folder()
    return f"{IPC}{folder}/control.sock"


def check_publish_address(address: str, *, curve: bool = False) -> None:
    """Check that the daemon can publish on an address and that other machines cannot read the events unencrypted.

    Parameters
    ----------
    address : str
        Event address.
    curve : bool
        Whether the socket uses CURVE, in which only clients with a listed key can subscribe.

    Raises
    ------
    AddressError
        The address is malformed, combines ipc with CURVE, or is a tcp address beyond loopback without CURVE.
    """
    if curve and not address.startswith(TCP):
        raise AddressError(f"CURVE works only on addresses that begin with {TCP}, not on {address!r}")
    check_subscribe_address(address)
    if address.startswith(TCP) and not curve:
        _check_loopback(address)


def check_subscribe_address(address: str) -> None:
    """Check that an address has the format of an event address. Any host is allowed.

    Raises
    ------
    AddressError
        The address is neither ipc nor tcp, its path is too long or relative, or its host or port is missing.
    """
    if address.startswith(IPC):
        _check_path(address.removeprefix(IPC))
    elif address.startswith(TCP):
        host, _, port = address.removeprefix(TCP).rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
            raise AddressError(f"event address {address} needs a host and a port from 1 to 65535")
    else:
        raise AddressError(f"event address {address!r} must begin with {IPC} or {TCP}")


def check_control_address(address: str) -> None:
    """Check that only local programs can reach a control address.

    Raises
    ------
    AddressError
        The address is not ipc, or its path is too long or relative.
    """
    if not address.startswith(IPC):
        raise AddressError(f"control address {address!r} must begin with {IPC}: only local programs control a daemon")
    _check_path(address.removeprefix(IPC))


def bind_listener(address: str) -> "tuple[socket.socket, IpcGuard | None]":
    """Bind a socket to a public address. With an ipc address, a lock protects the path, and only this user can connect.

    Parameters
    ----------
    address : str
        An address that has already been checked.

    Returns
    -------
    tuple
        The bound socket, and the lock of an ipc path. The caller must close the socket before it releases the lock.

    Raises
    ------
    AddressError
        The address is in use or cannot be bound.
    """
    guard = IpcGuard(Path(address.removeprefix(IPC))) if address.startswith(IPC) else None
    # With this mask the socket file is private from the start. A chmod after bind would come too late.
    mask = os.umask(0o077)
    listener = None
    try:
        listener, name = _socket_for(address)
        listener.bind(name)
        # TCP reports some addresses in use only here.
        listener.listen()
    except OSError as error:
        if listener:
            listener.close()
        if guard:
            guard.release()
        raise AddressError(f"cannot bind: {error.strerror} ({address})") from None
    finally:
        os.umask(mask)
    return listener, guard


def _socket_for(address: str) -> "tuple[socket.socket, Any]":
    """Return a socket of the correct address family, and the name to which the socket can be bound."""
    if address.startswith(IPC):
        return socket.socket(socket.AF_UNIX), address.removeprefix(IPC)
    host, _, port = address.removeprefix(TCP).rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if is_ipv6(address) else socket.AF_INET
    if host in dict(socket.if_nameindex()).values():
        host = _interface_address(host)
    found = socket.getaddrinfo(None if host == "*" else host, port, family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return listener, found[0][4]


def _interface_address(name: str) -> str:
    """Return the IPv4 address of a network interface (netdevice(7), SIOCGIFADDR)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, SIOCGIFADDR, name.encode()[:15].ljust(40, b"\0"))
    return socket.inet_ntoa(request[20:24])


def is_readable(socket: "zmq.Socket[bytes]") -> bool:
    """Whether a message can be received on a socket without waiting.

    `is_readable` is much faster than a poll without a timeout.
    """
    return bool(int(socket.get(zmq.EVENTS)) & POLLIN)


def is_ipv6(address: str) -> bool:
    """Whether the host in an address is an IPv6 address. ZeroMQ needs a socket option for IPv6 addresses."""
    return address.startswith(f"{TCP}[")


class IpcGuard:
    """An exclusive lock on the path of an ipc socket, held until `release`.

    ZeroMQ has two problems with the paths of ipc sockets, which this lock solves. A second daemon can silently take
    over a path in use, and a closed socket does not delete its file. Therefore the daemon must lock a separate file
    before it binds the socket, and then removes an old socket file.

    Parameters
    ----------
    path : Path
        Path of the socket. If the folder of the socket does not exist, the folder is created with access for this user
        only.

    Raises
    ------
    AddressError
        Another daemon uses the path, the path is another kind of file, or the folder is unusable or open to others.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _make_private_folder(path.parent)
        if path.exists() and not path.is_socket():
            raise AddressError(f"{IPC}{path} is not a socket but another kind of file: choose another path")
        self._lock = _lock_file(path.with_name(path.name + ".lock"), path)
        path.unlink(missing_ok=True)

    def release(self) -> None:
        """Remove the socket file and release the lock."""
        self._path.unlink(missing_ok=True)
        self._lock.close()


def _runtime_folder() -> Path:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}")
    if runtime.is_dir():
        return runtime / "kwsd"
    if os.geteuid() == 0:
        return Path("/run/kwsd")
    raise AddressError(f"there is no runtime folder {runtime}: log in through systemd, or run  {SET_ADDRESS_COMMAND}")


def _check_path(path: str) -> None:
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise AddressError(
            f"address is too long: the path {path} has {length} bytes, and the limit is {MAX_PATH_BYTES}"
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
            f"event address {address} is not a loopback address: add [curve] to the configuration, or the whole"
            " network could read the events"
        )


def check_socket_folder(address: str) -> None:
    """Check that other users cannot replace the socket of an ipc address.

    A client must call `check_socket_folder` before it connects. The check accepts every tcp address and every path
    whose folder does not exist. With a tcp address, only CURVE can prove the identity of the daemon.

    Raises
    ------
    AddressError
        Another user owns the socket or its folder, or can write to a folder on the path of the socket.
    """
    if not address.startswith(IPC):
        return
    if fault := find_intruder(Path(address.removeprefix(IPC)), private_folder=True):
        raise AddressError(f"cannot trust the address {address}: {fault}")


def _make_private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise AddressError(f"cannot create the folder {folder} for the socket: {error.strerror}") from None
    if found.st_uid != os.geteuid():
        raise AddressError(f"the folder {folder} of the socket belongs to another user: choose another folder")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise AddressError(f"other users can write to the folder {folder} of the socket: choose a private folder")
    if fault := find_intruder(folder / "socket", private_folder=True):
        raise AddressError(f"other users can replace the folder {folder} of the socket: {fault}")


def _lock_file(lock: Path, path: Path) -> IO[bytes]:
    # Only this user may open the file: another user who can read it could hold the lock.
    try:
        if lock.exists() and stat.S_IMODE(lock.lstat().st_mode) & 0o077:
            _remove_readable_lock(lock, path)
        file = os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "rb+")
    except OSError as error:
        raise AddressError(f"cannot lock the address {path}: {error.strerror}") from None
    try:
        # The kernel releases the lock when the process ends, also if the process is killed.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise _in_use(path) from None
    return file


def _remove_readable_lock(lock: Path, path: Path) -> None:
    """Remove the lock file of kwsd 0.1, which every user can lock, unless a daemon still uses the path."""
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise _in_use(path)
    lock.unlink()


def _in_use(path: Path) -> AddressError:
    return AddressError(
        f"another kwsd uses {IPC}{path}: stop it, or choose other addresses with --address and --control"
    )
