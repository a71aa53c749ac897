"""``kwsd stop``."""

import sys

from kwsd.cli.options import Connect, control_in_force


def stop(connect: Connect = None) -> None:
    """Stop the daemon."""
    from kwsd.bus.control import send_request

    send_request("stop", control_in_force(connect))
    print("kwsd is stopping", file=sys.stderr)
