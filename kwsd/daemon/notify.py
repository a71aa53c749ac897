"""Messages to the service manager, by the protocol of sd_notify(3)."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

ALIVE_S = 1.0
"""Seconds from one message to the watchdog to the next: it waits for many times that."""


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
        self._alive_due_s = 0.0
        self._states: dict[str, str] = {}

    @property
    def managed(self) -> bool:
        """Whether there is a service manager to tell."""
        return bool(self._path)

    def ready(self) -> None:
        """The daemon is up."""
        self._send("READY=1")

    def status(self, text: str, stream: str = "") -> None:
        """How a stream is, in words for people: ``systemctl status`` shows those of all streams in one line."""
        self._states[stream] = text
        self._send(f"STATUS={'; '.join(self._states.values())}")

    def alive(self) -> None:
        """The loop that processes audio goes round; may be called at each turn, and is passed on once a second."""
        now_s = time.monotonic()
        if now_s >= self._alive_due_s:
            self._alive_due_s = now_s + ALIVE_S
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
