"""The service: what systemd knows of it."""

from kwsd.check.finding import Finding, failed, ok, skipped, warning
from kwsd.errors import ServiceError
from kwsd.service import UNIT_NAME, read_unit_properties


def service() -> Finding:
    """Whether the unit is installed, and how it is."""
    try:
        unit = read_unit_properties()
    except ServiceError as error:
        # The question is of no interest, only what came of it.
        return skipped("service", str(error).split(f"{UNIT_NAME}: ")[-1])
    state = f"{unit['ActiveState']} ({unit['SubState']})"
    if unit["LoadState"] == "not-found":
        return skipped("service", f"{UNIT_NAME} is not installed; kwsd service install does it")
    if unit["ActiveState"] == "active":
        at_login = "" if unit["UnitFileState"] == "enabled" else ", but does not start at login"
        return ok("service", f"{UNIT_NAME} is {state}{at_login}")
    if unit["ActiveState"] == "failed" or unit["SubState"] == "auto-restart":
        said = ServiceError(f"{UNIT_NAME} is {state}: the program ended with exit code {unit['ExecMainStatus']}")
        return failed("service", said, "kwsd service logs")
    return warning("service", f"{UNIT_NAME} is {state}", f"systemctl --user start {UNIT_NAME}")
