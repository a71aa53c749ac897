"""Defines the command ``kwsd reload``."""

from kwsd.cli.options import ControlAddress, find_control_address
from kwsd.log import print_message


def reload(connect: ControlAddress = None) -> None:
    """Let a running daemon read its configuration and its model again, as SIGHUP does.

    If the configuration or the model is invalid, the daemon keeps the old ones, and the exit code is 69.
    """
    from kwsd.bus.control import send_request

    status = send_request("reload", find_control_address(connect))
    print_message(f"kwsd has reloaded (model {status.model}: {' '.join(status.keywords)})")
