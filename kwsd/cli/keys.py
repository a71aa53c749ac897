"""Defines the command ``kwsd keys``."""

from pathlib import Path
from typing import Annotated

import typer

from kwsd.errors import UsageError
from kwsd.log import print_line

keys = typer.Typer(help="Create the keys for encrypted events over the network.", no_args_is_help=True)


@keys.callback()
def group() -> None:
    """Create the keys for encrypted events over the network."""


@keys.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Folder for the keys; created if it does not exist.")],
    server: Annotated[bool, typer.Option("--server", help="Create the daemon's keys.")] = False,
    client: Annotated[str | None, typer.Option(metavar="NAME", help="Create the keys of this client.")] = None,
) -> None:
    """Create a pair of keys: the public key NAME.key and the secret key NAME.key_secret.

    The daemon needs server.key_secret and a folder with the NAME.key of each client. A client needs its own
    NAME.key_secret and server.key.
    """
    from kwsd.bus.curve import create_key_pair

    if server == (client is not None):
        raise UsageError("use either --server or --client NAME")
    name = "server" if client is None else client
    if not name or Path(name).name != name:
        raise UsageError(f"{name!r} cannot be the name of a file")
    print_line(str(create_key_pair(folder, name)))
