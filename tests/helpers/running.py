"""A daemon whose microphone is the test."""

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
    """A daemon that reads raw samples from this test.

    Parameters
    ----------
    program : str
    folder : Path
        For its sockets.
    options : str
        More of its command line.
    address : str
        For its events, if not in the folder.
    keys : ClientKeys, optional
        For a daemon with CURVE.
    environment : str
        More of its environment.
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
        # Every interface is one to listen on, not one to connect to.
        self.subscription = Subscription(address.replace("0.0.0.0", "127.0.0.1"), keys=keys)  # noqa: S104
        command = [program, "run", "--device", "-", "--address", address, "--control", self.control, *options]
        self._log = folder / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.PIPE, stderr=log)
        self.speak(np.zeros(1280))
        self.wait_for("listening")

    def speak(self, samples: np.ndarray) -> None:
        """Let the daemon hear samples in [-1, 1]."""
        stdin_of(self.process).write((samples * 32767).astype("<i2").tobytes())
        stdin_of(self.process).flush()

    def receive(self) -> events.Event:
        """The next event."""
        message = self.subscription.receive(timeout_s=30)
        assert message
        return events.decode_event(message.body)

    def wait_for(self, state: str) -> StatusEvent:
        """The next status with a state."""
        while True:
            event = self.receive()
            if isinstance(event, StatusEvent) and event.state == state:
                return event

    def heard(self) -> list[str]:
        """Keywords until the daemon says that it stops, at the end of its input."""
        stdin_of(self.process).close()
        found: list[str] = []
        while True:
            event = self.receive()
            if isinstance(event, KeywordEvent):
                found.append(event.keyword)
            elif isinstance(event, StatusEvent) and event.state == "stopping":
                return found

    def log(self) -> list[str]:
        """End the daemon if it has not ended by itself, and give the lines of its log."""
        self.process.terminate()
        self.process.wait()
        return self._log.read_text().splitlines()

    def close(self) -> None:
        """End the daemon and the subscription to it."""
        self.log()
        stdin_of(self.process).close()
        self.subscription.close()


def messages(manager: socket.socket) -> list[str]:
    """What a service manager is told, until the daemon is about to go.

    To be read while the daemon runs: few messages fit into the socket, and then the daemon waits.
    """
    said: list[str] = []
    while "STATUS=stopping" not in said:
        said.append(manager.recv(4096).decode())
    return said
