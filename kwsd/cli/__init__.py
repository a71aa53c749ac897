"""The command ``kwsd``. Each command of ``kwsd`` has a module with its name in this folder."""

import sys

from kwsd.daemon.ending import run_and_exit
from kwsd.daemon.hangup import prepare_signals


def main() -> None:
    """Run the command line ``kwsd``, and then end the process."""
    if sys.argv[1:2] == ["run"]:
        prepare_signals()
    run_and_exit(_run)


def _run() -> None:
    from kwsd.cli.commands import app  # imported here because it is slow, and Ctrl+C is handled only from here on

    app()
