"""The restrictions of the units, tested inside the units."""

import pytest
from helpers.booted import PROBE, Container, EventReader, Unit

pytestmark = pytest.mark.container

IN_PLACE_OF_THE_DAEMON = [
    "[Service]",
    "Type=oneshot",
    "Restart=no",
    "WatchdogSec=0",
    "ExecStart=",
    f"ExecStart=/usr/bin/python3 {PROBE}",
]
SECCOMP = [
    "RestrictAddressFamilies",
    "MemoryDenyWriteExecute",
    "RestrictNamespaces",
    "RestrictSUIDSGID",
    "LockPersonality",
    "SystemCallFilter",
]


def probe(unit: Unit, *lines: str) -> set[str]:
    """The findings of the probe in a unit with some additional lines."""
    unit.change(*IN_PLACE_OF_THE_DAEMON, *lines)
    line_count = len(unit.log())
    unit.systemctl("restart")
    return set(unit.log()[line_count:])


def test_outside_the_unit_all_of_it_is_allowed(container: Container) -> None:
    found = container.anna("systemd-run", "--user", "--quiet", "--wait", "--pipe", "/usr/bin/python3", PROBE).stdout
    allowed = [f"{name} allowed" for name in [*SECCOMP, "ProtectHome"]]
    assert found.splitlines() == [*allowed, "NoNewPrivileges False", "UMask 0o22"]


def test_in_the_units_what_needs_no_privileges_is_refused(service: Unit, system_service: Unit) -> None:
    refused = {f"{name} refused" for name in SECCOMP} | {"NoNewPrivileges True", "UMask 0o77"}
    assert refused <= probe(service)
    assert refused | {"ProtectHome refused"} <= probe(system_service)


def test_with_a_user_namespace_the_home_is_read_only_and_the_daemon_listens(
    container: Container, service: Unit, reader: EventReader
) -> None:
    assert "ProtectHome allowed" in probe(service)
    assert "ProtectHome refused" in probe(service, "PrivateUsers=yes")
    service.change("[Service]", "PrivateUsers=yes")
    service.systemctl("restart")
    reader.status("listening")
    container.play("stop")
    assert reader.keyword() == "stop"


# docs/tuning.md describes this drop-in.
def test_a_drop_in_opens_the_folder_of_clips_where_the_home_is_read_only(
    container: Container, service: Unit, reader: EventReader
) -> None:
    folder = "/home/anna/.local/share/kwsd/clips"
    container.anna("mkdir", "--mode=700", "--parents", folder)
    configuration = container.files / "home/anna/.config/kwsd/config.toml"
    container.anna("mkdir", "--parents", "/home/anna/.config/kwsd")
    configuration.write_text('[clips]\nfolder = "~/.local/share/kwsd/clips"\n')
    service.change("[Service]", "PrivateUsers=yes")
    service.systemctl("restart", check=False)
    assert service.show("ExecMainStatus") == "78"
    assert any(f"cannot save clips in {folder}: the folder cannot be written to" in line for line in service.log())

    service.change("[Service]", "PrivateUsers=yes", "ReadWritePaths=%h/.local/share/kwsd/clips")
    service.systemctl("restart")
    reader.status("listening")
    container.play("stop")
    assert reader.keyword() == "stop"
    service.systemctl("stop")
    assert "_stop_" in container.anna("ls", folder).stdout


# docs/security.md contains these values.
def test_the_exposure_of_the_units_is_as_documented(service: Unit, system_service: Unit) -> None:
    assert service.exposure() == 5.0
    assert system_service.exposure() == 0.9
