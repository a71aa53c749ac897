"""``kwsd mute``."""

import sys

from kwsd.cli.options import ControlAddress, find_control_address


def mute(connect: ControlAddress = None) -> None:
    """Let the daemon discard its audio until `kwsd unmute`. The daemon continues to run."""
    from kwsd.bus.control import send_request

    send_request("mute", find_control_address(connect))
    print("kwsd is muted", file=sys.stderr)
