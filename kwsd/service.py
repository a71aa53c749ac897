"""Installs, removes and inspects kwsd's systemd unit in the user's session."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kwsd.errors import OutputError, ServiceError
from kwsd.files import find_user_folder, replace_file

UNIT_NAME = "kwsd.service"

PROGRAMS = ("kwsd", "kwsd-daemon")
"""Names of the programs that the systemd unit starts."""


def install_service() -> Path:
    """Install or update the systemd unit, start the unit now, and let it start at every login.

    Returns
    -------
    Path
        Path of the unit file.

    Raises
    ------
    OutputError
        The unit file cannot be written.
    ServiceError
        Systemd does not run, systemd cannot start the unit, or the programs of kwsd were not found.
    """
    path, programs = unit_path(), find_programs()
    # Without a running systemd, a unit left behind would start unexpectedly at a later login. This call raises then.
    run_systemctl("show-environment")
    with _file_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, format_unit(programs / "kwsd").encode())
    run_systemctl("daemon-reload")
    run_systemctl("enable", UNIT_NAME)
    # A daemon that already runs may be an older version.
    run_systemctl("restart", UNIT_NAME)
    return path


def uninstall_service() -> Path:
    """Stop and remove the systemd unit. If the unit is not installed, the function changes nothing.

    Returns
    -------
    Path
        Path of the unit file, which no longer exists.

    Raises
    ------
    OutputError
        The unit file cannot be removed.
    ServiceError
        Systemd does not run, or systemd cannot stop the unit.
    """
    path = unit_path()
    if path.exists():
        run_systemctl("disable", "--now", UNIT_NAME)
    with _file_errors("remove", path):
        path.unlink(missing_ok=True)
    run_systemctl("daemon-reload")
    return path


def unit_path() -> Path:
    """Return the path of the unit file in the folder of the user's own units; see systemd.unit(5).

    Raises
    ------
    ServiceError
        This user does not have a home folder.
    """
    folder = find_user_folder("config", "systemd")
    if folder is None:
        raise ServiceError("this user has no home folder for the unit: set HOME")
    return folder / "user" / UNIT_NAME


def find_programs() -> Path:
    """Return the folder with kwsd's programs for this Python installation.

    Raises
    ------
    ServiceError
        None of the folders contains both programs.
    """
    user_scheme = sysconfig.get_preferred_scheme("user")
    folders = [
        Path(sys.executable).parent,
        Path(sys.argv[0]).absolute().parent,
        Path(sysconfig.get_path("scripts")),
        Path(sysconfig.get_path("scripts", user_scheme)),
        *(Path(found).parent for found in map(shutil.which, PROGRAMS) if found),
    ]
    for folder in folders:
        if all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
            return folder
    raise ServiceError(
        f"the programs {' and '.join(PROGRAMS)} are neither beside {sys.executable} nor in PATH: install kwsd again"
    )


def format_unit(program: Path) -> str:
    """Return the text of the unit file for a kwsd whose executable is `program`."""
    package = Path(__file__).parent
    # In a source tree the units are beside the package. In an installation they are inside it.
    candidates = [package.parent / "systemd" / UNIT_NAME, package / "systemd" / UNIT_NAME]
    text = next(path for path in candidates if path.exists()).read_text("utf-8")
    # In a unit, % starts a specifier, and quotation marks protect spaces (systemd.service(5), "Command lines").
    for path in (program.with_name("kwsd-daemon"), program):
        quoted = f'"{path}"'.replace("%", "%%")
        text = text.replace(f"%h/.local/bin/{path.name}", quoted)
    return text


def read_unit_properties() -> dict[str, str]:
    """Return properties of the systemd unit, for example ``ActiveState``; see "show" in systemctl(1).

    Raises
    ------
    ServiceError
        Systemd does not run.
    """
    names = "LoadState,UnitFileState,ActiveState,SubState,ExecMainStatus"
    lines = run_systemctl("show", f"--property={names}", UNIT_NAME).splitlines()
    return dict(line.split("=", 1) for line in lines)


def run_systemctl(*arguments: str) -> str:
    """Run ``systemctl --user`` with arguments, and return the output.

    Raises
    ------
    ServiceError
        Systemd does not run, or the systemctl command fails.
    """
    command = ["systemctl", "--user", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ServiceError("systemctl is not installed: this machine does not use systemd") from None
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ServiceError(f"{' '.join(command)}: {reason}")
    return done.stdout


@contextmanager
def _file_errors(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot {verb} {path}: {error.strerror}") from None
