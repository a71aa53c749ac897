"""``kwsd stop``."""

import sys

from kwsd.cli.options import ControlAddress, find_control_address


def stop(connect: ControlAddress = None) -> None:
    """Stop the daemon."""
    from kwsd.bus.control import send_request

    send_request("stop", find_control_address(connect))
    print("kwsd is stopping", file=sys.stderr)
