"""``kwsd unmute``."""

import sys

from kwsd.cli.options import Connect


def unmute(connect: Connect = None) -> None:
    """Detect keywords again; what was said while muted is not looked at."""
    from kwsd.control import ask

    ask("unmute", connect)
    print("kwsd is listening again", file=sys.stderr)
