"""Messages to the service manager, by the protocol of sd_notify(3)."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Tells systemd how the daemon is; does nothing where systemd does not ask.

    Parameters
    ----------
    environment : mapping
        Where ``NOTIFY_SOCKET`` is looked up.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract socket (sd_notify(3)).
        self._path = "\0" + path[1:] if path.startswith("@") else path

    @property
    def managed(self) -> bool:
        """Whether there is a service manager to tell."""
        return bool(self._path)

    def ready(self) -> None:
        """The daemon is up."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """How the daemon is, in one line for people: ``systemctl status`` shows it."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Audio was just processed."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The daemon reads its configuration anew; `ready` says that it has done so (sd_notify(3), RELOADING)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon is going down."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._path:
            return
        # A service manager that does not listen is no reason to stop (sd_notify(3), "Return Value").
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message.encode(), self._path)
