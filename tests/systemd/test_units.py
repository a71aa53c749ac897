"""The unit files, checked by systemd itself."""

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
def test_systemd_accepts_the_unit_without_a_warning(unit: str, manager: str, tmp_path: Path) -> None:
    # The programs are where this test's Python is, not where a user will have installed them.
    here = str(Path(sys.executable).parent)
    text = (UNITS / unit).read_text().replace("%h/.local/bin", here).replace("/usr/local/bin", here)
    (tmp_path / unit).write_text(text)

    checked = subprocess.run(
        ["systemd-analyze", "verify", manager, "--man=no", tmp_path / unit],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0
