"""``kwsd reload``."""

import sys

from kwsd.cli.options import Connect, control_in_force


def reload(connect: Connect = None) -> None:
    """Let a running daemon read its configuration, thresholds and model anew, as SIGHUP does.

    A configuration or model that is bad is refused with exit code 69, and the old one stays.
    """
    from kwsd.bus.control import send_request

    status = send_request("reload", control_in_force(connect))
    print(f"kwsd has reloaded (model {status.model}: {' '.join(status.keywords)})", file=sys.stderr)
