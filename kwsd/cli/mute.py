"""``kwsd mute``."""

import sys

from kwsd.cli.options import Connect, control_in_force


def mute(connect: Connect = None) -> None:
    """Keep the daemon running and listening, but throw its audio away until `kwsd unmute`."""
    from kwsd.bus.control import send_request

    send_request("mute", control_in_force(connect))
    print("kwsd is muted", file=sys.stderr)
