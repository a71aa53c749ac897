"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Connect = Annotated[
    str | None,
    typer.Option("--connect", metavar="ADDRESS", help="The daemon's control address, if not the default."),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="A bundle folder, an installed model's name, or a SavedModel folder."),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", help="Labels of a SavedModel that does not hold them: a,b,c in order."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Configuration file, instead of the usual places."),
]
