"""Encrypts events on the network with CURVE and admits only clients with a listed key (ZeroMQ RFC 26, CurveZMQ)."""

import os
import re
import stat
import struct
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.auth import create_certificates
from zmq.utils import z85

from kwsd.config.schema import CurveConfig
from kwsd.errors import ConfigError, OutputError
from kwsd.files import TEXT_LIMIT, read_file
from kwsd.system.trust import find_intruder

SECRET_KEY_SUFFIX = "key_secret"  # noqa: S105  a file name, not a secret
ZAP_DOMAIN = "kwsd"
KEY_BYTES = 32

KEY_LINE = re.compile(rb"""^[ \t]*(public|secret)-key[ \t]*=[ \t]*["']?([^"'\s]*)""", re.MULTILINE)
"""Pattern of a line in a key file that `zmq.auth.create_certificates` writes: ``public-key = "…"``."""


class KeyPair(NamedTuple):
    """A public and a secret key, both encoded in Z85 (ZeroMQ RFC 32)."""

    public: bytes
    secret: bytes


class ServerKeys(NamedTuple):
    """The key pair of the daemon and the public keys of the clients that may subscribe."""

    pair: KeyPair
    clients: frozenset[bytes]


class ClientKeys(NamedTuple):
    """The key pair of a client and the public key of the daemon."""

    pair: KeyPair
    server: bytes


class ClientAuthenticator:
    """Authenticator that admits only clients with a listed key. A thread of pyzmq checks the key in each handshake.

    Parameters
    ----------
    socket : zmq.Socket
        Event socket of the daemon, which must not be bound yet.
    keys : ServerKeys
        Keys of the daemon and public keys of the clients to admit.

    Attributes
    ----------
    clients : frozenset of bytes
        Public keys of the clients to admit. A changed list applies to all later handshakes.
    """

    def __init__(self, socket: zmq.Socket[bytes], keys: ServerKeys) -> None:
        from zmq.auth.thread import ThreadAuthenticator  # noqa: PLC0415  loads asyncio, which only CURVE needs

        self.clients = keys.clients
        self._authenticator = ThreadAuthenticator(socket.context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(ZAP_DOMAIN, self)
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = keys.pair
        # With this option ZeroMQ admits no client if the authenticator is missing. Without it, it would admit all.
        socket.zap_domain = ZAP_DOMAIN.encode()
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def callback(self, _domain: str, key: bytes) -> bool:
        """Whether to admit a client with the given key.

        The authenticator of pyzmq calls this method from its own thread.
        """
        return key in self.clients

    def close(self) -> None:
        """Stop the thread."""
        self._authenticator.stop()


def read_server_keys(curve: CurveConfig) -> ServerKeys:
    """Read the key pair of the daemon and the public keys of its clients.

    Raises
    ------
    ConfigError
        A file or folder is unreadable, a file does not contain a key, or other users can read the secret key. Another
        user can change a key file or add a file.
    """
    folder = _expand_home(curve.clients).absolute()
    if fault := find_intruder(folder / "client.key", private_folder=True):
        raise ConfigError(f"cannot trust the client keys in {folder}: {fault}")
    try:
        files = [path for path in folder.iterdir() if path.suffix == ".key"]
    except OSError as error:
        raise ConfigError(f"cannot read the client keys in {folder}: {error.strerror}") from None
    return ServerKeys(read_key_pair(Path(curve.server_key)), frozenset(_read_key_file(path)[0] for path in files))


def read_client_keys(secret: Path, server: Path) -> ClientKeys:
    """Read the key pair of a client and the public key of the daemon.

    Parameters
    ----------
    secret : Path
        File of the client whose name ends in ``.key_secret``.
    server : Path
        File of the daemon whose name ends in ``.key``.

    Raises
    ------
    ConfigError
        A key file is unreadable or does not contain a key, or other users can change the file or read the secret key.
    """
    return ClientKeys(read_key_pair(secret), _read_key_file(_expand_home(server))[0])


def read_key_pair(path: Path) -> KeyPair:
    """Read a key pair from a file whose name ends in ``.key_secret``.

    Raises
    ------
    ConfigError
        The file is unreadable or does not contain a secret key, or other users can read or change the file.
    """
    path = _expand_home(path)
    public, secret = _read_key_file(path)
    if secret is None:
        raise ConfigError(f"{path} does not contain a secret key: name the file that ends in .{SECRET_KEY_SUFFIX}")
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise ConfigError(f"cannot read the key {path}: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigError(f"other users can read the secret key {path}: run  chmod 600 {path}")
    return KeyPair(public, secret)


def create_key_pair(folder: Path, name: str) -> Path:
    """Create a key pair in two files that only this user can read: ``NAME.key`` (public) and ``NAME.key_secret``.

    Returns
    -------
    Path
        Path of the file with the secret key.

    Raises
    ------
    OutputError
        The key files already exist or cannot be written.
    """
    public, secret = folder / f"{name}.key", folder / f"{name}.{SECRET_KEY_SUFFIX}"
    made = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (public, secret):
            path.touch(mode=0o600, exist_ok=False)
            made.append(path)
        create_certificates(folder, name)
    except OSError as error:
        for path in made:
            path.unlink()
        place = f": {error.filename}" if error.filename else ""
        raise OutputError(f"cannot create the keys in {folder}: {error.strerror}{place}") from None
    return secret


def _expand_home(path: str | Path) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  pathlib raises RuntimeError if the user does not exist


def _read_key_file(path: Path) -> tuple[bytes, bytes | None]:
    path = path.absolute()
    if fault := find_intruder(path, private_folder=False):
        raise ConfigError(f"cannot trust the key {path}: {fault}")
    try:
        # Not pyzmq's function: it waits for a FIFO, and reads a file of any size.
        keys = dict(KEY_LINE.findall(read_file(path, TEXT_LIMIT)))
        public, secret = keys[b"public"], keys.get(b"secret")
        lengths = {len(z85.decode(key)) for key in (public, secret or public)}
    except OSError as error:
        raise ConfigError(f"cannot read the key {path}: {error.strerror}") from None
    except KeyError:
        raise ConfigError(f"cannot read the key {path}: it does not contain a key") from None
    except (ValueError, ArithmeticError, struct.error) as error:
        raise ConfigError(f"cannot read the key {path}: {error}") from None
    if lengths != {KEY_BYTES}:
        raise ConfigError(f"cannot read the key {path}: it has the wrong length")
    return public, secret
