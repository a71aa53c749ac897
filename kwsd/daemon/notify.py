"""Sends messages to the service manager, by the protocol of sd_notify(3)."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from kwsd.system.text import clean_text

ALIVE_S = 1.0
"""Seconds between two messages to the watchdog. The units give it 20 seconds."""


class Notifier:
    """Reports the state of the daemon to systemd. Without systemd it does nothing.

    Parameters
    ----------
    environment : mapping
        Has ``NOTIFY_SOCKET`` if a service manager runs this process.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract socket (sd_notify(3)).
        self._path = "\0" + path[1:] if path.startswith("@") else path
        self._alive_due_s = 0.0
        self._states: dict[str, str] = {}
        self._unsent: dict[str, str] = {}

    @property
    def managed(self) -> bool:
        """Whether a service manager runs this process."""
        return bool(self._path)

    def ready(self) -> None:
        """Report that the daemon is ready."""
        self._send("READY=1")

    def status(self, text: str, stream: str = "") -> None:
        """Report the state of a stream in words. ``systemctl status`` shows all streams in one line."""
        self._states[stream] = text
        self._send(f"STATUS={clean_text('; '.join(self._states.values()))}")

    def alive(self) -> None:
        """Feed the watchdog, at most once in `ALIVE_S`. The loop that processes audio calls this in every round."""
        now_s = time.monotonic()
        if now_s >= self._alive_due_s:
            self._alive_due_s = now_s + ALIVE_S
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that a reload begins. `ready` reports its end (sd_notify(3), RELOADING)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the daemon is about to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        """Send a message, and before it those that the service manager did not accept earlier. Never waits.

        Only the newest message of each kind is kept.
        """
        if not self._path:
            return
        kind = message.partition("=")[0]
        self._unsent.pop(kind, None)
        self._unsent[kind] = message
        # A service manager that does not listen must not stop the daemon (sd_notify(3), "Return Value").
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(0)
            for kind, unsent in list(self._unsent.items()):
                channel.sendto(unsent.encode(), self._path)
                del self._unsent[kind]
