"""Defines the command ``kwsd unmute``."""

from kwsd.cli.options import ControlAddress, find_control_address
from kwsd.log import print_message


def unmute(connect: ControlAddress = None) -> None:
    """Let the daemon detect keywords again. Audio from the time of muting is not processed."""
    from kwsd.bus.control import send_request

    send_request("unmute", find_control_address(connect))
    print_message("kwsd is listening again")
