"""The option that commands for a running daemon share."""

from typing import Annotated

import typer

Connect = Annotated[
    str | None,
    typer.Option("--connect", metavar="ADDRESS", help="The daemon's control address, if not the default."),
]
