"""A test machine: a container with a real systemd, in which the built wheel is installed.

`scripts/container-root` makes its root, which stays as it is: what a test changes is in memory and gone at the end.
"""

import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent, StatusEvent

TREE = Path(__file__).parents[2]
ROOT = TREE / "build" / "container"
VENV = "/usr/local/lib/kwsd"
CLIPS = "/srv/clips"
PROBE = "/srv/probe.py"
USER = "anna"
RUNTIME = "/run/user/1000"
ANNA = ["runuser", f"--user={USER}", "--", "env", f"HOME=/home/{USER}", f"XDG_RUNTIME_DIR={RUNTIME}"]


class Container:
    """A booted container.

    Parameters
    ----------
    wheel : Path
        The wheel of kwsd to install in the container.
    notify : Path
        Path for a new socket on which the container reports that it has booted.

    Attributes
    ----------
    files : Path
        The root folder of the container, as a path of the host.
    units : Path
        Folder of the installed units, as a path in the container.
    """

    def __init__(self, wheel: Path, notify: Path) -> None:
        command = [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--notify-ready=yes",
            "--volatile=overlay",
            "--private-network",
            "--console=read-only",
            f"--machine=kwsd-{os.getpid()}",
            f"--directory={ROOT}",
            f"--bind-ro={wheel.parent}:/srv/wheel",
            f"--bind-ro={TREE / 'tests' / 'data' / 'clips'}:{CLIPS}",
            f"--bind-ro={TREE / 'tests' / 'systemd' / 'container' / 'probe.py'}:{PROBE}",
        ]
        notifications = ""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(notify))
            manager.settimeout(60)
            self._process = subprocess.Popen(
                command,
                env=os.environ | {"NOTIFY_SOCKET": str(notify)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            while "READY=1" not in notifications:
                notifications += manager.recv(4096).decode() + "\n"
        [self._leader] = re.findall("^X_NSPAWN_LEADER_PID=([0-9]+)$", notifications, re.MULTILINE)
        self.files = Path(f"/proc/{self._leader}/root")
        self.root("systemctl", "is-system-running", "--wait")
        self.root(f"{VENV}/bin/pip", "install", "--quiet", "--no-index", "--no-deps", f"/srv/wheel/{wheel.name}")
        for program in ("kwsd", "kwsd-daemon"):
            self.root("ln", "--symbolic", f"{VENV}/bin/{program}", f"/usr/local/bin/{program}")
        package = self.root(f"{VENV}/bin/python", "-c", "import kwsd; print(kwsd.__path__[0])").stdout.strip()
        self.units = Path(package) / "systemd"
        self.anna("systemctl", "--user", "is-system-running", "--wait")

    def root(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as root."""
        done = subprocess.run(self._inside(*command), capture_output=True, text=True, check=False)
        assert not (check and done.returncode), done
        return done

    def anna(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command as the user whose session contains the service."""
        return self.root(*ANNA, *command, check=check)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command as the user, with its output in pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self._inside(*ANNA, *command), stdout=pipe, stderr=pipe, text=True)

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--target={self._leader}", "--all", "--", *command]

    def play(self, word: str) -> None:
        """Play a recording of a word into the user's microphone, and wait for its end."""
        self.anna("paplay", str(self.clip(word)))

    def clip(self, word: str) -> Path:
        """The path of a recording of a word in the container."""
        return Path(CLIPS) / word / min((TREE / "tests" / "data" / "clips" / word).glob("*.flac")).name

    def sync_journal(self) -> None:
        """Wait until the journal contains all messages."""
        self.root("journalctl", "--sync")

    def close(self) -> None:
        """Shut the container down."""
        self._process.terminate()
        self._process.wait()


class Unit:
    """A systemd unit in the container: a user unit or a system unit.

    Parameters
    ----------
    container : Container
        The container with the unit.
    name : str
        Name of the unit.
    user : bool
        Whether the unit belongs to the user's session. Otherwise it is a system unit.
    """

    def __init__(self, container: Container, name: str, *, user: bool) -> None:
        self._container = container
        self._run = container.anna if user else container.root
        self._manager = ["--user"] if user else []
        self._name = name
        folder = f"home/{USER}/.config/systemd/user" if user else "etc/systemd/system"
        self._drop_in = container.files / folder / f"{name}.d" / "test.conf"

    def systemctl(self, command: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of systemctl for the unit."""
        return self._run("systemctl", *self._manager, "--no-pager", command, *options, self._name, check=check)

    def show(self, property_: str) -> str:
        """A property of the unit."""
        return self.systemctl("show", "--value", f"--property={property_}").stdout.strip()

    def log(self) -> list[str]:
        """All messages of the unit, and those of systemd about it, from the journal."""
        self._container.sync_journal()
        shown = self._run("journalctl", *self._manager, "--no-pager", "--output=cat", f"--unit={self._name}")
        return shown.stdout.splitlines()

    def exposure(self) -> float:
        """The exposure of the unit from ``systemd-analyze security``: 0 (safe) to 10."""
        analyzed = self._run("systemd-analyze", *self._manager, "security", "--no-pager", self._name).stdout
        return float(re.findall(r"Overall exposure level for \S+: ([0-9.]+) ", analyzed)[0])

    def change(self, *lines: str) -> None:
        """Set the lines that this test adds to the unit. They replace the lines of an earlier call."""
        self._drop_in.parent.mkdir(parents=True, exist_ok=True)
        self._drop_in.write_text("".join(f"{line}\n" for line in lines))
        self._run("systemctl", *self._manager, "daemon-reload")


class EventReader:
    """A subscriber to the events of a daemon in the container. It also receives those of a restarted daemon.

    Parameters
    ----------
    container : Container
        The container with the daemon.
    socket_path : str
        Path of the event socket in the container.
    """

    def __init__(self, container: Container, socket_path: str) -> None:
        self._subscription = Subscription(f"ipc://{container.files}{socket_path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._subscription.close()

    def status(self, state: str, *, after_run: str = "") -> StatusEvent:
        """The next status with a state, from another run of the daemon than an earlier status."""
        while True:
            event = self._receive()
            if isinstance(event, StatusEvent) and event.state == state and event.run != after_run:
                return event

    def keyword(self) -> str:
        """The next keyword."""
        while True:
            event = self._receive()
            if isinstance(event, KeywordEvent):
                return event.keyword

    def _receive(self) -> events.Event:
        # Longer than the watchdog needs to detect and end a daemon that hangs.
        message = self._subscription.receive(timeout_s=90)
        assert message
        return events.decode_event(message.body)


@contextmanager
def booted() -> Iterator[Container]:
    """A container with the wheel of this source tree. The end of the context removes it."""
    [wheel] = (TREE / "build" / "dist").glob("kwsd-*.whl")
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        container = Container(wheel, Path(folder) / "notify")
        try:
            yield container
        finally:
            container.close()


@contextmanager
def user_service(container: Container) -> Iterator[Unit]:
    """The service in the user's session, installed as documented. The end of the context removes it."""
    unit = Unit(container, "kwsd.service", user=True)
    home = f"/home/{USER}/.config/kwsd", f"/home/{USER}/.config/systemd/user/kwsd.service.d"
    container.anna("kwsd", "service", "install")
    try:
        yield unit
    finally:
        container.anna("systemctl", "--user", "start", "pulseaudio.socket")
        container.anna("kwsd", "service", "uninstall")
        container.root("rm", "--recursive", "--force", *home)
        container.anna("systemctl", "--user", "daemon-reload")
