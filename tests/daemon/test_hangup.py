"""A daemon in a terminal ends with the terminal; a daemon without one reads its configuration again on SIGHUP."""

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.command import Command
from helpers.pipes import stdout_of

from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.bus.events import KeywordEvent, StatusEvent, decode_event
from kwsd.system.processes import end_processes, find_descendants, list_processes

pytestmark = pytest.mark.program

Hangup = Callable[["Window"], None]


class Window:
    """A terminal window: a program with a pseudo-terminal as its controlling terminal.

    Parameters
    ----------
    folder : Path
        For the sockets, and for the pipe that the daemon reads as its microphone.
    program : str
        Path of the installed command.

    Attributes
    ----------
    daemon : str
        The command line of the daemon, for a shell.
    """

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self.subscription = Subscription(f"ipc://{folder}/events.sock")
        self.control = f"ipc://{folder}/control.sock"
        addresses = f"--address ipc://{folder}/events.sock --control {self.control}"
        self.daemon = f"{program} run --device - {addresses} <{folder}/audio"
        os.mkfifo(folder / "audio")
        self._audio = os.open(folder / "audio", os.O_RDWR)
        self._master, self._slave = os.openpty()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *command: str, typed: str = "", **environment: str) -> None:
        """Start a program in the terminal, type a line, and wait until a daemon listens."""
        inherited = {name: value for name, value in os.environ.items() if name != "TMUX"}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=inherited | {"HOME": str(self.folder), "TERM": "xterm", "TMUX_TMPDIR": str(self.folder)} | environment,
        )
        os.close(self._slave)
        if typed:
            self.type(typed)
        self.speak(np.zeros(1280))
        while self.status().state != "listening":
            pass

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._master, f"{line}\n".encode())

    def speak(self, samples: np.ndarray) -> None:
        """Send samples to the daemon."""
        os.write(self._audio, (samples * 32767).astype("<i2").tobytes())

    def close(self) -> None:
        """Close the window."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def status(self) -> StatusEvent:
        """Wait for the next status."""
        while True:
            message = self.subscription.receive(timeout_s=30)
            assert message
            event = decode_event(message.body)
            if isinstance(event, StatusEvent):
                return event

    def ends(self) -> None:
        """Wait until the daemon ends in order, and its process is gone."""
        while self.status().state != "stopping":
            pass
        while self._running():
            pass

    def clean_up(self) -> None:
        """End everything that the test has started."""
        self.close()
        end_processes(self._running, grace_s=0)
        os.close(self._audio)
        self.subscription.close()
        if self.process:
            self.process.wait()

    def _running(self) -> set[int]:
        """Processes whose command line contains the folder of this test."""
        found = set()
        for pid, info in list_processes().items():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if bytes(self.folder) in words and not info.ended:
                found.add(pid)
        return found


@pytest.fixture
def window(runtime: Path, program: str) -> Iterator[Window]:
    window = Window(runtime, program)
    yield window
    window.clean_up()


def close_window(window: Window) -> None:
    window.close()


def leave_shell(window: Window) -> None:
    # An interactive shell with jobs warns once.
    window.type("exit")
    window.type("exit")
    assert window.process
    window.process.wait()
    # A terminal emulator closes its window when the shell has ended.
    window.close()


def kill_program(window: Window) -> None:
    assert window.process
    window.process.kill()


BASH = ["bash", "--norc", "-i"]


@pytest.mark.parametrize(
    ("shell", "line", "hangup"),
    [
        (["sh", "-c", "exec {daemon}"], "", close_window),
        (["sh", "-c", "{daemon}; true"], "", close_window),
        # script(1) ignores the end of its own terminal, so here script itself ends.
        (["script", "--quiet", "--command", "{daemon}", "/dev/null"], "", kill_program),
        (BASH, "{daemon}", close_window),
        (BASH, "{daemon} &", close_window),
        (BASH, "{daemon} &", leave_shell),
        (BASH, "{daemon} >/dev/null 2>&1 &", leave_shell),
        (BASH, "{daemon} & disown", close_window),
        (BASH, "({daemon} &)", leave_shell),
        (BASH, "{daemon} 2>&1 | cat", close_window),
        (["dash", "-i"], "{daemon} &", close_window),
        (["dash", "-i"], "{daemon} &", leave_shell),
        (["dash", "-i"], "(trap '' INT QUIT; exec {daemon} &)", leave_shell),
    ],
)
def test_a_daemon_ends_with_its_terminal(window: Window, shell: list[str], line: str, hangup: Hangup) -> None:
    words = [word.format(daemon=window.daemon) for word in shell]
    window.start(*words, typed=line.format(daemon=window.daemon))
    hangup(window)
    window.ends()


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_a_daemon_in_tmux_stays_when_the_client_goes_and_ends_with_its_pane(window: Window, two_words: Path) -> None:
    window.start("tmux", "-f", "/dev/null", "new-session", window.daemon)
    window.close()
    assert window.process
    window.process.wait()
    assert keywords_of(window, two_words) == ["go", "stop"]
    subprocess.run(["tmux", "kill-server"], env=os.environ | {"TMUX_TMPDIR": str(window.folder)}, check=True)
    window.ends()


@pytest.mark.parametrize(
    ("line", "environment"),
    [
        ("nohup {daemon} >/dev/null &", {}),
        ("setsid {daemon} &", {}),
        ("({daemon} &)", {"NOTIFY_SOCKET": "@kwsd-test"}),
    ],
)
def test_a_daemon_that_is_detached_on_purpose_stays(
    window: Window, two_words: Path, line: str, environment: dict[str, str]
) -> None:
    window.start(*BASH, typed=line.format(daemon=window.daemon), **environment)
    window.close()
    assert window.process
    window.process.wait()
    assert keywords_of(window, two_words) == ["go", "stop"]


def test_in_a_terminal_the_signal_ends_the_daemon_and_the_request_reloads_it(window: Window) -> None:
    window.start("sh", "-c", f"exec {window.daemon}")
    assert send_request("reload", window.control).state == "listening"
    assert window.process
    window.process.send_signal(signal.SIGHUP)
    window.process.send_signal(signal.SIGHUP)
    window.ends()
    assert window.process.wait() == 0


def test_a_daemon_in_the_background_may_write_to_its_terminal(window: Window, two_words: Path) -> None:
    window.start(*BASH, typed=f"stty tostop; {window.daemon} &")
    assert keywords_of(window, two_words) == ["go", "stop"]


def test_a_stopped_daemon_goes_on_in_the_foreground(window: Window, two_words: Path) -> None:
    window.start(*BASH, typed=window.daemon)
    window.type("\x1a")
    window.type("fg")
    assert keywords_of(window, two_words) == ["go", "stop"]


def keywords_of(window: Window, recording: Path) -> list[str]:
    """Play a recording with two words to the daemon, and return its keywords."""
    samples, _ = soundfile.read(recording, dtype="float32")
    window.speak(samples)
    found: list[str] = []
    while len(found) < 2:
        message = window.subscription.receive(timeout_s=30)
        assert message
        event = decode_event(message.body)
        if isinstance(event, KeywordEvent):
            found.append(event.keyword)
    return found


def test_the_daemon_of_a_demo_ends_when_the_demo_is_killed(kwsd: Command) -> None:
    demo = kwsd.start("demo")
    while not (found := find_descendants(list_processes(), {demo.pid})):
        pass
    [daemon] = [os.pidfd_open(pid) for pid in found]
    # The daemon asks for the signal before it does anything else, so it publishes only after that.
    next(line for line in stdout_of(demo))
    demo.kill()
    assert select.select([daemon], [], [], 30)[0]
    os.close(daemon)
