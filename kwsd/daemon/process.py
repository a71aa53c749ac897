"""The program ``kwsd-daemon``, which the systemd units start.

``kwsd-daemon`` does the work of ``kwsd run`` without options. The program does not load a command line library, which
saves 12 MB of memory while the daemon runs.
"""

import sys

from kwsd.daemon.ending import run_and_exit
from kwsd.daemon.hangup import prepare_signals


def main() -> None:
    """Run a daemon with the settings of the environment and the configuration file, and then end the process."""
    prepare_signals()
    run_and_exit(_run)


def _run() -> None:
    from kwsd.config.load import load_config  # noqa: PLC0415  only here is Ctrl+C caught
    from kwsd.daemon.loop import run_daemon  # noqa: PLC0415  see above
    from kwsd.errors import UsageError  # noqa: PLC0415  see above

    if sys.argv[1:]:
        raise UsageError("kwsd-daemon takes no arguments: use  kwsd run  or the configuration file")
    run_daemon(lambda: load_config().config)
