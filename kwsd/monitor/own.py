"""A daemon of the monitor's own, where none runs or another device is to be watched."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class OwnDaemon:
    """A child that listens to a device, on addresses that nobody else knows.

    Parameters
    ----------
    device : str
    folder : Path
        For its sockets and its log.
    """

    def __init__(self, device: str, folder: Path) -> None:
        self.address = f"ipc://{folder}/events.sock"
        self.control = f"ipc://{folder}/control.sock"
        self._log = folder / "log"
        places = ["--address", self.address, "--control", self.control, "--log-level", "error"]
        with self._log.open("wb") as log:
            command = [sys.executable, "-P", "-m", "kwsd", "run", "--device", device, *places]
            # Ctrl+C is for the monitor, which then ends its child.
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def end(self) -> int:
        """End it, if it has not ended by itself; gives its exit code."""
        self._process.terminate()
        return self._process.wait()

    def said(self) -> str:
        """What it has said on standard error."""
        return self._log.read_text("utf-8", "replace")


@contextmanager
def own_daemon(device: str) -> Iterator[OwnDaemon]:
    """A daemon that lives as long as the context."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        daemon = OwnDaemon(device, Path(folder))
        try:
            yield daemon
        finally:
            daemon.end()
