"""Runs the command ``kwsd`` in an environment of the test."""

import os
import subprocess
from pathlib import Path


class Command:
    """The command ``kwsd`` in an environment without the user's settings.

    Parameters
    ----------
    program : str
        Path of the installed command.
    home : Path
        The home, runtime and configuration folder of the command.

    Attributes
    ----------
    environment : dict
        The environment of every run. A test may change it.
    started : list of Popen
        Processes to kill after the test.
    """

    def __init__(self, program: str, home: Path) -> None:
        self.program = program
        self.home = home
        own = ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
        foreign = ("KWSD_", "NOTIFY_", "PYTHON")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = inherited | dict.fromkeys(own, str(home))
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str | Path, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command, and wait for its end."""
        done = subprocess.run(
            [self.program, *arguments],
            input=stdin,
            env=self.environment | environment,
            capture_output=True,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command in the background, with pipes to and from it."""
        process = subprocess.Popen(
            [self.program, *arguments],
            env=self.environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process
