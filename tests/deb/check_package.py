"""The Debian package in a clean root of its distribution; `make test-deb` runs this, `make test` does not."""

import csv
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = ("bash-completion", "man-db", "systemd")
"""What a workstation has, and the package does not need."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("debootstrap") or not shutil.which("systemd-nspawn"),
    reason="needs root, debootstrap and systemd-nspawn",
)


class Machine:
    """A root in which commands are run.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, user: str = "root", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        nspawn = ["systemd-nspawn", "--quiet", "--machine=kwsd-deb", "--register=no", "--keep-unit", "--pipe"]
        done = subprocess.run(
            [*nspawn, "--as-pid2", f"--directory={self.folder}", f"--user={user}", "--", *command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def install(self, *packages: str) -> None:
        """Install packages without what they recommend."""
        apt = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends"]
        self.run("env", "DEBIAN_FRONTEND=noninteractive", *apt, *packages)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    (package,) = (ROOT / "build/deb").glob("kwsd_*.deb")
    folder = ROOT / "build/deb/root"
    shutil.rmtree(folder, ignore_errors=True)
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    subprocess.run(["debootstrap", "--variant=minbase", suite, folder], stdout=subprocess.DEVNULL, check=True)
    machine = Machine(folder)
    shutil.copy(package, folder / "root/kwsd.deb")
    machine.install("/root/kwsd.deb")
    machine.run("useradd", "--create-home", "anna")
    yield machine
    shutil.rmtree(folder)


def test_the_command_runs_with_the_package_s_own_dependencies_alone(machine: Machine) -> None:
    lines = machine.run("kwsd", "--version", user="anna").stdout.splitlines()
    assert lines[0].startswith("kwsd ")
    assert any(line.startswith("model default ") for line in lines)


def test_the_demo_hears_its_words(machine: Machine) -> None:
    with (ROOT / "kwsd/demo/demo.csv").open(newline="") as table:
        first = next(csv.DictReader(table))["word"]
    shown = machine.run("kwsd", "demo", user="anna").stdout
    assert f"  {first} " in shown
    assert "words were detected" in shown


def test_portaudio_is_there_and_finds_no_device(machine: Machine) -> None:
    done = machine.run("kwsd", "devices", user="anna", check=False)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("kwsd: there is no input device")


def test_training_is_no_part_of_it(machine: Machine) -> None:
    assert machine.run("which", "kwsd-train", check=False).returncode == 1


def test_units_man_page_and_completion_are_found(machine: Machine) -> None:
    machine.install(*EXTRAS)
    for user, unit in (("anna", "user/kwsd"), ("anna", "user/kwsd-act"), ("root", "system/kwsd-system")):
        scope = unit.partition("/")[0]
        verify = f"XDG_RUNTIME_DIR=/tmp systemd-analyze verify --{scope} /usr/lib/systemd/{unit}.service 2>&1"
        assert machine.run("sh", "-c", verify, user=user).stdout == ""
    assert machine.run("man", "--where", "kwsd").stdout == "/usr/share/man/man1/kwsd.1.gz\n"
    load = ". /usr/share/bash-completion/bash_completion; _completion_loader kwsd; complete -p kwsd"
    assert machine.run("bash", "-c", load).stdout == "complete -o default -F _kwsd_completion kwsd\n"


def test_nothing_is_left_when_it_is_removed(machine: Machine) -> None:
    (machine.folder / "root/kwsd.deb").unlink()
    machine.run("apt-get", "purge", "--yes", "kwsd")
    # The man program keeps pages that it has shown.
    left = machine.run("find", "/", "-xdev", "-name", "*kwsd*", "-not", "-path", "/var/cache/man/*").stdout
    assert left == ""
