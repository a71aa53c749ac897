"""The command ``kwsd`` as the tests run it."""

import os
import subprocess
from pathlib import Path


class Command:
    """The command ``kwsd``, in an environment that holds nothing of the user's own.

    Parameters
    ----------
    program : str
    home : Path
        Its home, runtime and configuration folder.
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
        """Run a command to its end."""
        done = subprocess.run(
            [self.program, *arguments],
            input=stdin,
            env=self.environment | environment,
            capture_output=True,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command that runs on, with pipes to and from it."""
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
