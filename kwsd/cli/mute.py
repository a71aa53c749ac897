"""``kwsd mute``."""

import sys

from kwsd.cli.options import Connect


def mute(connect: Connect = None) -> None:
    """Keep the daemon running and listening, but throw its audio away until `kwsd unmute`."""
    from kwsd.control import ask

    ask("mute", connect)
    print("kwsd is muted", file=sys.stderr)
