"""Defines the command ``kwsd stop``."""

from kwsd.cli.options import ControlAddress, find_control_address
from kwsd.log import print_message


def stop(connect: ControlAddress = None) -> None:
    """Stop the daemon."""
    from kwsd.bus.control import send_request

    send_request("stop", find_control_address(connect))
    print_message("kwsd is stopping")
