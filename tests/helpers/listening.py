"""Runs a daemon that listens to the microphone of the tests."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from helpers.pulse import PulseAudio

from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent, StatusEvent


class Listening:
    """A daemon on a sound server, and a subscription to the daemon's events.

    Parameters
    ----------
    pulse : PulseAudio
        The sound server. Its folder holds the daemon's sockets and log.
    program : str
        Path of the installed command.
    options : str
        Further options of ``kwsd run``.
    managed : bool
        Whether the daemon runs as under a service manager.
    environment : str
        Further environment variables.
    """

    def __init__(
        self, pulse: PulseAudio, program: str, *options: str | Path, managed: bool = False, **environment: str
    ) -> None:
        address = f"ipc://{pulse.folder}/kwsd/events.sock"
        self.control = f"ipc://{pulse.folder}/kwsd/control.sock"
        self.subscription = Subscription(address)
        if managed:
            environment["NOTIFY_SOCKET"] = str(pulse.folder / "manager")
        self._log = pulse.folder / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [program, "run", "--address", address, *options], env=pulse.environment | environment, stderr=log
            )

    def receive(self) -> events.Event:
        """Wait for the next event."""
        message = self.subscription.receive(timeout_s=60)
        assert message, self._log.read_text()
        return events.decode_event(message.body)

    def status(self, wanted: Callable[[StatusEvent], bool]) -> StatusEvent:
        """Wait for a status that `wanted` accepts."""
        while True:
            event = self.receive()
            if isinstance(event, StatusEvent) and wanted(event):
                return event

    def wait_for(self, state: str) -> StatusEvent:
        """Wait for a status with a state."""
        return self.status(lambda status: status.state == state)

    def keyword(self) -> KeywordEvent:
        """Wait for a keyword event."""
        while True:
            event = self.receive()
            if isinstance(event, KeywordEvent):
                return event

    def log(self, part: str) -> list[str]:
        """Return the lines of the log that contain a text."""
        return [line for line in self._log.read_text().splitlines() if part in line]

    def signal(self, number: int) -> None:
        """Send the daemon a signal."""
        os.kill(self.process.pid, number)

    def close(self) -> None:
        """Terminate the daemon, and close the subscription."""
        self.process.terminate()
        self.process.wait()
        self.subscription.close()
