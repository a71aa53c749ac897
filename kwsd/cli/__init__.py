"""The command ``kwsd``. Each command has a module of its name in this folder."""

import signal
import sys

from kwsd.ending import run_and_exit


def main() -> None:
    """Run the command line, and end the process."""
    if sys.argv[1:2] == ["run"]:
        # SIGHUP means "reload". It must not end a daemon that has not yet read its configuration.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run_and_exit(_run)


def _run() -> None:
    from kwsd.cli.commands import app  # imported here because it is slow, and Ctrl+C is handled only from here on

    app()
