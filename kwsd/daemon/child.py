"""Runs a daemon as a child process, for ``kwsd demo`` and ``kwsd monitor --device``."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kwsd.config.load import ENVIRONMENT_PREFIX

PROGRAM = "from kwsd.system.processes import end_with_parent; end_with_parent(); from kwsd.cli import main; main()"
"""The command ``kwsd``, which also ends when its parent is killed: the microphone must not stay open."""


class ChildDaemon:
    """A daemon in a child process, with private addresses and a log file.

    Parameters
    ----------
    device : str
        The same values as for ``kwsd run --device``.
    folder : Path
        Folder for the sockets and the log.
    configured : bool
        Whether the daemon reads the user's configuration.

    Attributes
    ----------
    address, control : str
        The daemon's event address and control address.
    """

    def __init__(self, device: str, folder: Path, *, configured: bool) -> None:
        self.address = f"ipc://{folder}/events.sock"
        self.control = f"ipc://{folder}/control.sock"
        self._log = folder / "log"
        arguments = ["--device", device, "--address", self.address, "--control", self.control, "--log-level", "error"]
        environment = dict(os.environ)
        if not configured:
            arguments += ["--config", os.devnull]
            environment = {
                name: value for name, value in environment.items() if not name.startswith(ENVIRONMENT_PREFIX)
            }
        # With -P, Python does not import modules from the working directory.
        command = [sys.executable, "-P", "-c", PROGRAM, "run", *arguments]
        with self._log.open("wb") as log:
            # In its own session the daemon does not receive Ctrl+C: this process receives it and ends the daemon.
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True
            )

    def is_running(self) -> bool:
        """Whether the process is still running."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait until the process ends, and return its exit code."""
        return self._process.wait()

    def terminate(self) -> int:
        """End the process if it is running, and return its exit code."""
        self._process.terminate()
        return self._process.wait()

    def read_log(self) -> str:
        """The errors that the daemon has logged."""
        return self._log.read_text("utf-8", "replace")


@contextmanager
def run_child_daemon(device: str, *, configured: bool) -> Iterator[ChildDaemon]:
    """Start a daemon, and end it with the context; for the parameters see `ChildDaemon`."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        daemon = ChildDaemon(device, Path(folder), configured=configured)
        try:
            yield daemon
        finally:
            daemon.terminate()
