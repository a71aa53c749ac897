"""``kwsd unmute``."""

import sys

from kwsd.cli.options import Connect, control_in_force


def unmute(connect: Connect = None) -> None:
    """Detect keywords again; what was said while muted is not looked at."""
    from kwsd.bus.control import send_request

    send_request("unmute", control_in_force(connect))
    print("kwsd is listening again", file=sys.stderr)
