"""The command ``kwsd``. Each command is a module of this folder, named like it."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from kwsd.cli.act import act
from kwsd.cli.check import check
from kwsd.cli.config import config
from kwsd.cli.demo import demo
from kwsd.cli.devices import devices
from kwsd.cli.keys import keys
from kwsd.cli.listen import listen
from kwsd.cli.models import models
from kwsd.cli.monitor import monitor
from kwsd.cli.mute import mute
from kwsd.cli.reload import reload
from kwsd.cli.review import review
from kwsd.cli.run import run
from kwsd.cli.scan import scan
from kwsd.cli.service import service
from kwsd.cli.status import status
from kwsd.cli.stop import stop
from kwsd.cli.tune import tune
from kwsd.cli.unmute import unmute
from kwsd.cli.version import print_version
from kwsd.errors import KwsdError, OutputError

INTERRUPTED = 130
"""Exit code of a program that Ctrl+C ended, by the convention of shells: 128 and the number of the signal."""

app = typer.Typer(
    name="kwsd",
    help="Spot keywords in the microphone's audio and publish them as events over ZeroMQ.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    check, run, listen, act, monitor, status, mute, unmute, reload, stop, scan, tune, review, devices, models, config,
    demo,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
app.add_typer(keys, name="keys")
app.add_typer(service, name="service")


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=print_version,
            is_eager=True,
            help="Print the versions of kwsd, of what it runs on, and of the models.",
        ),
    ] = False,
) -> None:
    """Options of every command."""


def main() -> None:
    """Run the command line, and end the process."""
    try:
        _run_command()
    except SystemExit as end:
        # Looked up, not imported: commands that capture nothing need not load it.
        capture = sys.modules.get("kwsd.capture")
        if capture and capture.left_behind():
            # A thread still reads from a device; the sound libraries' exit handlers would crash under it.
            sys.stdout.flush()
            os._exit(end.code if isinstance(end.code, int) else 0)
        raise


def _run_command() -> None:
    """Run a command; an error of ours becomes one sentence and its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A reader has each line at once, and a disk that is full is noticed while there is still somebody to say so.
        sys.stdout.reconfigure(line_buffering=True)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except KwsdError as error:
        from kwsd.log import say_error

        say_error(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        from kwsd.log import say_error

        say_error(f"cannot go on: {error.strerror}")
        # At its end Python would try once more to write what could not be written.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  open until the process ends
        sys.exit(OutputError.exit_code)
