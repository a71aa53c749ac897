"""``kwsd keys``."""

from pathlib import Path
from typing import Annotated

import typer

keys = typer.Typer(help="Make the keys that events over the network need.", no_args_is_help=True)


@keys.callback()
def group() -> None:
    """Make the keys that events over the network need."""


@keys.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Where to; it is made if it is not there.")],
    server: Annotated[bool, typer.Option("--server", help="The daemon's keys.")] = False,
    client: Annotated[str | None, typer.Option(metavar="NAME", help="A client's keys.")] = None,
) -> None:
    """Make a pair of keys: NAME.key, to be given away, and NAME.key_secret, to be kept.

    The daemon needs server.key_secret and a folder with each client's NAME.key; a client its own NAME.key_secret and
    server.key.
    """
    from kwsd.bus.curve import create_key_pair
    from kwsd.errors import UsageError

    if server == (client is not None):
        raise UsageError("say either --server or --client NAME")
    name = "server" if client is None else client
    if not name or Path(name).name != name:
        raise UsageError(f"{name!r} is no name for a file")
    print(create_key_pair(folder, name))
