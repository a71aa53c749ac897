"""Runs a daemon that reads its audio from the test."""

import os
import socket
import subprocess
from pathlib import Path

import numpy as np
from helpers.pipes import stdin_of

from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.curve import ClientKeys
from kwsd.bus.events import KeywordEvent, StatusEvent


class Running:
    """A daemon that reads raw samples on its standard input, and a subscription to its events.

    Parameters
    ----------
    program : str
        Path of the installed command.
    folder : Path
        For the daemon's sockets and log.
    options : str
        Further options of ``kwsd run``.
    address : str
        The event address, if it is not a socket in `folder`.
    keys : ClientKeys, optional
        Keys of the subscription, for a daemon that uses CURVE.
    environment : str
        Further environment variables.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        *options: str,
        address: str = "",
        keys: ClientKeys | None = None,
        **environment: str,
    ) -> None:
        address = address or f"ipc://{folder}/events.sock"
        self.control = f"ipc://{folder}/control.sock"
        # A client cannot connect to the address of all interfaces.
        self.subscription = Subscription(address.replace("0.0.0.0", "127.0.0.1"), keys=keys)  # noqa: S104
        command = [program, "run", "--device", "-", "--address", address, "--control", self.control, *options]
        self._log = folder / "log"
        with self._log.open("w") as log:
            # In a session without a terminal, SIGHUP means reload.
            self.process = subprocess.Popen(
                command, env=os.environ | environment, stdin=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self.speak(np.zeros(1280))
        self.wait_for("listening")

    def speak(self, samples: np.ndarray) -> None:
        """Send samples in [-1, 1] to the daemon."""
        stdin_of(self.process).write((samples * 32767).astype("<i2").tobytes())
        stdin_of(self.process).flush()

    def receive(self) -> events.Event:
        """Wait for the next event."""
        message = self.subscription.receive(timeout_s=30)
        assert message
        return events.decode_event(message.body)

    def wait_for(self, state: str) -> StatusEvent:
        """Wait for a status with a state."""
        while True:
            event = self.receive()
            if isinstance(event, StatusEvent) and event.state == state:
                return event

    def heard(self) -> list[str]:
        """End the daemon's input, and return all keywords until the daemon stops."""
        stdin_of(self.process).close()
        found: list[str] = []
        while True:
            event = self.receive()
            if isinstance(event, KeywordEvent):
                found.append(event.keyword)
            elif isinstance(event, StatusEvent) and event.state == "stopping":
                return found

    def log(self) -> list[str]:
        """Terminate the daemon if it still runs, and return the lines of its log."""
        self.process.terminate()
        self.process.wait()
        return self._log.read_text().splitlines()

    def close(self) -> None:
        """Terminate the daemon, and close the subscription."""
        self.log()
        stdin_of(self.process).close()
        self.subscription.close()


def messages(manager: socket.socket) -> list[str]:
    """Return the daemon's messages to the service manager, until the daemon is stopping.

    Call it while the daemon runs. The socket holds only a few messages, and then the daemon waits.
    """
    said: list[str] = []
    while "STATUS=stopping" not in said:
        said.append(manager.recv(4096).decode())
    return said
