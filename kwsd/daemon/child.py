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
"""Python code that runs the command ``kwsd``. The process ends when its parent is killed, so the microphone does not
stay open."""


class ChildDaemon:
    """A daemon in a child process, with private addresses and a log file.

    Parameters
    ----------
    device : str
        Audio device of the daemon, with the values that ``kwsd run --device`` accepts.
    folder : Path
        Folder in which the daemon creates its sockets and its log file.
    configured : bool
        Whether the daemon reads the user's configuration file.

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
        """Whether the daemon's process is still running."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Wait until the daemon's process ends, and return the exit code of the process."""
        return self._process.wait()

    def terminate(self) -> int:
        """End the daemon's process if it is still running, and return the exit code of the process."""
        self._process.terminate()
        return self._process.wait()

    def read_log(self) -> str:
        """Return the errors that the daemon has logged."""
        return self._log.read_text("utf-8", "replace")


@contextmanager
def run_child_daemon(device: str, *, configured: bool) -> Iterator[ChildDaemon]:
    """Start a daemon, and end it at the end of the ``with`` block. The parameters are those of `ChildDaemon`."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        daemon = ChildDaemon(device, Path(folder), configured=configured)
        try:
            yield daemon
        finally:
            daemon.terminate()
