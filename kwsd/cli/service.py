"""``kwsd service``."""

import subprocess
import sys
from typing import Annotated

import typer

service = typer.Typer(help="Run kwsd as a systemd service of your session.", no_args_is_help=True)


@service.command()
def install() -> None:
    """Install the unit, start it now and at every login."""
    from kwsd import service

    print(f"kwsd runs as the service {service.install_service()}", file=sys.stderr)


@service.command()
def uninstall() -> None:
    """Stop the service and remove its unit."""
    from kwsd import service

    print(f"the service {service.uninstall_service()} is removed", file=sys.stderr)


@service.command()
def status() -> None:
    """Print what systemd knows of the service; exit code 3 when it does not run."""
    from kwsd.service import UNIT_NAME

    _show("systemctl", "--user", "--no-pager", "status", UNIT_NAME)


@service.command()
def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines as they come.")] = False,
) -> None:
    """Print the log of the service."""
    from kwsd.service import UNIT_NAME

    _show("journalctl", "--user", "--no-pager", "--unit", UNIT_NAME, *(["--follow"] if follow else []))


def _show(*command: str) -> None:
    from kwsd.errors import ServiceError

    try:
        done = subprocess.run(command, check=False)
    except FileNotFoundError:
        raise ServiceError(f"{command[0]} is not installed: this machine does not use systemd") from None
    raise typer.Exit(done.returncode)
