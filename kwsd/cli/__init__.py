"""The command ``kwsd``. Each command is a module of this folder, named like it."""

import signal
import sys

from kwsd.ending import run_and_exit


def main() -> None:
    """Run the command line, and end the process."""
    if sys.argv[1:2] == ["run"]:
        # A daemon reads its configuration anew on SIGHUP: one that comes before it has read any must not end it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run_and_exit(_run)


def _run() -> None:
    from kwsd.cli.commands import app  # where Ctrl+C is caught: it takes a while

    app()
