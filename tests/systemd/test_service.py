"""``kwsd service``: the unit that it installs, and its error messages without systemd."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import Command

from kwsd.service import format_unit

needs_systemd = pytest.mark.skipif(not shutil.which("systemctl"), reason="systemd is not installed")
PROGRAM = Path(sys.executable).with_name("kwsd")


@needs_systemd
@pytest.mark.parametrize("name", ["kwsd", "100 % new"])
def test_the_installed_unit_starts_this_kwsd_wherever_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    program = folder / "kwsd"
    for name_of_program in ("kwsd", "kwsd-daemon"):
        (folder / name_of_program).symlink_to(PROGRAM)
    path = tmp_path / "kwsd.service"
    path.write_text(format_unit(program))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", path],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0


@needs_systemd
def test_an_installation_without_a_user_manager_ends_in_a_sentence(kwsd: Command) -> None:
    done = kwsd.run("service", "install", DBUS_SESSION_BUS_ADDRESS="unix:path=/none")
    assert done.stderr.startswith("kwsd: systemctl --user show-environment: Failed to connect to bus")
    assert done.returncode == 69
    assert not (kwsd.home / "systemd").exists()


def test_a_machine_without_systemd_gets_an_error_message(kwsd: Command, tmp_path: Path) -> None:
    for command, program in [("install", "systemctl"), ("status", "systemctl"), ("logs", "journalctl")]:
        done = kwsd.run("service", command, PATH=str(tmp_path))
        assert done.stderr == f"kwsd: {program} is not installed: this machine does not use systemd\n"
        assert done.returncode == 69
    assert not (kwsd.home / "systemd").exists()


def test_a_unit_that_cannot_be_written_is_an_error(kwsd: Command, tmp_path: Path) -> None:
    (kwsd.home / "systemd").touch()
    (tmp_path / "systemctl").symlink_to("/bin/true")
    done = kwsd.run("service", "install", PATH=str(tmp_path))
    assert done.stderr.startswith(f"kwsd: cannot write {kwsd.home}/systemd/user/kwsd.service: ")
    assert done.returncode == 74
