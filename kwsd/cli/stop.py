"""``kwsd stop``."""

import sys

from kwsd.cli.options import Connect


def stop(connect: Connect = None) -> None:
    """Stop the daemon."""
    from kwsd.control import ask

    ask("stop", connect)
    print("kwsd is stopping", file=sys.stderr)
