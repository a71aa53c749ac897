"""Defines the command ``kwsd mute``."""

from kwsd.cli.options import ControlAddress, find_control_address
from kwsd.log import print_message


def mute(connect: ControlAddress = None) -> None:
    """Let the daemon discard its audio until `kwsd unmute`. The daemon continues to run."""
    from kwsd.bus.control import send_request

    send_request("mute", find_control_address(connect))
    print_message("kwsd is muted")
