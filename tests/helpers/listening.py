"""A daemon that listens to the tests' microphone."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from helpers.pulse import PulseAudio

from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent, StatusEvent


class Listening:
    """A daemon on a sound server, and a subscription to it.

    Parameters
    ----------
    pulse : PulseAudio
    program : str
    options : str
        More of its command line.
    managed : bool
        Whether it believes that a service manager has started it.
    environment : str
        More of its environment.
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
        """The next event."""
        message = self.subscription.receive(timeout_s=60)
        assert message, self._log.read_text()
        return events.decode_event(message.body)

    def status(self, wanted: Callable[[StatusEvent], bool]) -> StatusEvent:
        """The next status that is as wanted."""
        while True:
            event = self.receive()
            if isinstance(event, StatusEvent) and wanted(event):
                return event

    def wait_for(self, state: str) -> StatusEvent:
        """The next status with a state."""
        return self.status(lambda status: status.state == state)

    def keyword(self) -> KeywordEvent:
        """The next keyword event."""
        while True:
            event = self.receive()
            if isinstance(event, KeywordEvent):
                return event

    def log(self, part: str) -> list[str]:
        """Lines of the log so far with a part in them."""
        return [line for line in self._log.read_text().splitlines() if part in line]

    def signal(self, number: int) -> None:
        """Send the daemon a signal."""
        os.kill(self.process.pid, number)

    def close(self) -> None:
        """End the daemon and the subscription to it."""
        self.process.terminate()
        self.process.wait()
        self.subscription.close()
