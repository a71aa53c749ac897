"""Checks the systemd service."""

from kwsd.check.finding import Finding, failed, ok, skipped, warning
from kwsd.errors import ServiceError
from kwsd.service import UNIT_NAME, read_unit_properties


def check_service() -> Finding:
    """Check whether the systemd unit is installed and whether it is active."""
    try:
        unit = read_unit_properties()
    except ServiceError as error:
        # Only the reason is of interest, not the command that failed.
        return skipped("service", str(error).split(f"{UNIT_NAME}: ")[-1])
    state = f"{unit['ActiveState']} ({unit['SubState']})"
    if unit["LoadState"] == "not-found":
        return skipped("service", f"{UNIT_NAME} is not installed; to install it:  kwsd service install")
    if unit["ActiveState"] == "active":
        at_login = "" if unit["UnitFileState"] == "enabled" else ", but does not start at login"
        return ok("service", f"{UNIT_NAME} is {state}{at_login}")
    if unit["ActiveState"] == "failed" or unit["SubState"] == "auto-restart":
        fault = ServiceError(f"{UNIT_NAME} is {state}: the program ended with exit code {unit['ExecMainStatus']}")
        return failed("service", fault, "kwsd service logs")
    return warning("service", f"{UNIT_NAME} is {state}", f"systemctl --user start {UNIT_NAME}")
