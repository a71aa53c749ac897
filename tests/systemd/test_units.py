"""The unit files, read by systemd itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize(
    ("unit", "manager"),
    [("kwsd.service", "--user"), ("kwsd-act.service", "--user"), ("kwsd-system.service", "--system")],
)
def test_systemd_finds_nothing_to_say_against_the_unit(unit: str, manager: str, tmp_path: Path) -> None:
    lines = (UNITS / unit).read_text().splitlines()
    # The program is where this test's Python is, not where a user will have installed it.
    command = next(line for line in lines if line.startswith("ExecStart="))
    program = command.removeprefix("ExecStart=").split()[0]
    installed = str(Path(sys.executable).with_name("kwsd"))
    (tmp_path / unit).write_text("\n".join(lines).replace(program, installed))

    checked = subprocess.run(
        ["systemd-analyze", "verify", manager, "--man=no", tmp_path / unit],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0
