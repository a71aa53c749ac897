"""The program ``kwsd-daemon``, which the systemd units start.

It does what ``kwsd run`` does without options. It loads no command line library, which saves 12 MB of memory for as
long as the daemon runs.
"""

import sys

from kwsd.daemon.ending import run_and_exit
from kwsd.daemon.hangup import prepare_signals


def main() -> None:
    """Run a daemon by its environment and its configuration file, and end the process."""
    prepare_signals()
    run_and_exit(_run)


def _run() -> None:
    from kwsd.config.load import load_config  # noqa: PLC0415  only here is Ctrl+C caught
    from kwsd.daemon.loop import run_daemon  # noqa: PLC0415  see above
    from kwsd.errors import UsageError  # noqa: PLC0415  see above

    if sys.argv[1:]:
        raise UsageError("kwsd-daemon takes no arguments: use  kwsd run  or the configuration file")
    run_daemon(lambda: load_config().config)
