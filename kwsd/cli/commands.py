"""Defines the Typer application with all commands of ``kwsd``."""

from typing import Annotated

import typer

from kwsd.cli.act import act
from kwsd.cli.check import check
from kwsd.cli.config import config
from kwsd.cli.demo import demo
from kwsd.cli.devices import devices
from kwsd.cli.help_text import join_help_lines
from kwsd.cli.keys import keys
from kwsd.cli.listen import listen
from kwsd.cli.models import models
from kwsd.cli.monitor import monitor
from kwsd.cli.mute import mute
from kwsd.cli.paths import expand_arguments
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

app = typer.Typer(
    name="kwsd",
    help="Detect keywords in the microphone's audio and publish them as events over ZeroMQ.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    check, run, listen, act, monitor, status, mute, unmute, reload, stop, scan, tune, review, devices, models, config,
    demo,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
for group in (app, keys, service):
    join_help_lines(group)
    expand_arguments(group)
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
            help="Print the versions of kwsd, Python, the libraries and the models.",
        ),
    ] = False,
) -> None:
    """Options of every command."""
