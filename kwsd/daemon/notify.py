"""Sends messages to the service manager, with the protocol of sd_notify(3)."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from kwsd.system.text import clean_text

ALIVE_S = 1.0
"""Seconds between two messages to the watchdog of systemd. The systemd units of kwsd set the watchdog timeout to 20
seconds."""


class Notifier:
    """Reports the state of the daemon to systemd.

    If systemd did not start the daemon, the methods do not send messages.

    Parameters
    ----------
    environment : mapping
        Environment variables. The variable ``NOTIFY_SOCKET`` exists if a service manager runs this process.
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
        """Report to systemd that the daemon is ready."""
        self._send("READY=1")

    def status(self, text: str, stream: str = "") -> None:
        """Report the state of a stream to systemd, as a text.

        ``systemctl status`` shows the states of all streams in one line.
        """
        self._states[stream] = text
        self._send(f"STATUS={clean_text('; '.join(self._states.values()))}")

    def alive(self) -> None:
        """Report to the watchdog that the daemon still works, at most once in `ALIVE_S`.

        The loop that processes audio calls this method in every round.
        """
        now_s = time.monotonic()
        if now_s >= self._alive_due_s:
            self._alive_due_s = now_s + ALIVE_S
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report to systemd that the daemon begins to reload its configuration.

        A call of `ready` reports the end of the reload; see RELOADING in sd_notify(3).
        """
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report to systemd that the daemon is about to end."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        """Send a message, after all earlier messages that the service manager has not accepted yet.

        The method never waits for the service manager.

        If several messages of one kind wait, only the newest is kept.
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
