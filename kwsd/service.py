"""The service: kwsd's systemd unit in a user's session, installed and removed as the documentation describes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from kwsd.errors import OutputError, ServiceError
from kwsd.files import replace_file

UNIT_NAME = "kwsd.service"


def install_service() -> Path:
    """Install the unit, or renew it; start it now and at every login.

    Returns
    -------
    Path
        Of the unit.

    Raises
    ------
    OutputError
        The unit cannot be written.
    ServiceError
        There is no systemd, or it cannot start the unit.
    """
    path = unit_path()
    # A unit that is left behind without a manager to run it would start at some later login, unasked.
    run_systemctl("show-environment")
    with _file_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, format_unit(Path(sys.executable).with_name("kwsd")).encode())
    run_systemctl("daemon-reload")
    run_systemctl("enable", UNIT_NAME)
    # A daemon that runs already is an older one, perhaps of another version.
    run_systemctl("restart", UNIT_NAME)
    return path


def uninstall_service() -> Path:
    """Stop the unit and remove it; a unit that is not there is no error.

    Returns
    -------
    Path
        Where the unit was.

    Raises
    ------
    OutputError
        The unit cannot be removed.
    ServiceError
        There is no systemd, or it cannot stop the unit.
    """
    path = unit_path()
    if path.exists():
        run_systemctl("disable", "--now", UNIT_NAME)
    with _file_errors("remove", path):
        path.unlink(missing_ok=True)
    run_systemctl("daemon-reload")
    return path


def unit_path() -> Path:
    """Where a user's own units are (systemd.unit(5))."""
    return platformdirs.user_config_path("systemd") / "user" / UNIT_NAME


def format_unit(program: Path) -> str:
    """The bundled unit, for a kwsd that is installed at `program`."""
    package = Path(__file__).parent
    # In a source tree the units lie beside the package; in an installation, inside it.
    shelves = [package.parent / "systemd", package / "systemd"]
    text = next(shelf / UNIT_NAME for shelf in shelves if (shelf / UNIT_NAME).exists()).read_text("utf-8")
    # A percent sign begins a specifier, and quotes keep spaces together (systemd.service(5), "Command lines").
    for path in (program.with_name("kwsd-daemon"), program):
        quoted = f'"{path}"'.replace("%", "%%")
        text = text.replace(f"%h/.local/bin/{path.name}", quoted)
    return text


def read_unit_properties() -> dict[str, str]:
    """What the service manager knows of the unit (systemctl(1), "show").

    Raises
    ------
    ServiceError
        There is no service manager.
    """
    names = "LoadState,UnitFileState,ActiveState,SubState,ExecMainStatus"
    lines = run_systemctl("show", f"--property={names}", UNIT_NAME).splitlines()
    return dict(line.split("=", 1) for line in lines)


def run_systemctl(*arguments: str) -> str:
    """Let the user's service manager do something; gives what it prints.

    Raises
    ------
    ServiceError
        There is none, or it refuses.
    """
    command = ["systemctl", "--user", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ServiceError("there is no systemctl: this machine does not run systemd") from None
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
