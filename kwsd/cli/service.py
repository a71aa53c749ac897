"""Defines the command ``kwsd service``."""

import signal
import subprocess
from typing import Annotated

import typer

from kwsd.daemon.ending import treat_as_ctrl_c
from kwsd.errors import ServiceError
from kwsd.log import print_message

NOT_RUNNING = 3
"""Exit code of ``systemctl status`` if the unit does not run; see "Exit status" in systemctl(1)."""

service = typer.Typer(help="Run kwsd as a systemd service of your session.", no_args_is_help=True)


@service.command()
def install() -> None:
    """Install the service, start it now and at every login."""
    from kwsd.service import install_service

    print_message(f"kwsd runs as the service {install_service()}")


@service.command()
def uninstall() -> None:
    """Stop the service and remove it."""
    from kwsd.service import uninstall_service

    print_message(f"the service {uninstall_service()} is removed")


@service.command()
def status() -> None:
    """Print what systemd knows about the service. The exit code is 3 if the service is not running."""
    from kwsd.service import UNIT_NAME

    _run_and_exit("systemctl", "--user", "--no-pager", "status", UNIT_NAME)


@service.command()
def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new lines until Ctrl+C.")] = False,
) -> None:
    """Print the log of the service."""
    from kwsd.service import UNIT_NAME

    _run_and_exit("journalctl", "--user", "--no-pager", "--unit", UNIT_NAME, *(["--follow"] if follow else []))


def _run_and_exit(*command: str) -> None:
    treat_as_ctrl_c(signal.SIGTERM)  # without this, SIGTERM would leave the command running
    try:
        done = subprocess.run(command, check=False)
    except FileNotFoundError:
        raise ServiceError(f"{command[0]} is not installed: this machine does not use systemd") from None
    # systemctl and journalctl have printed why they failed, and their other exit codes mean something else for kwsd.
    raise typer.Exit(done.returncode if done.returncode in {0, NOT_RUNNING} else ServiceError.exit_code)
