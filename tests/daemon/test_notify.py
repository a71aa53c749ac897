"""What the service manager is told, over a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from helpers.command import Command
from helpers.pipes import stdin_of
from helpers.running import Running, messages

from kwsd.bus.control import send_request
from kwsd.daemon.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, runtime: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and its name as in NOTIFY_SOCKET."""
    name = str(runtime / "notify") if request.param == "path" else f"@kwsd-tests-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0"))
        yield listening, name


def test_a_daemon_says_when_it_is_ready_while_it_works_and_when_it_stops(
    kwsd: Command, manager: tuple[socket.socket, str]
) -> None:
    listening, name = manager
    daemon = kwsd.start("run", "--device", "-", NOTIFY_SOCKET=name)
    assert listening.recv(4096) == b"STATUS=waiting for audio from stdin"
    assert listening.recv(4096) == b"READY=1"
    stdin_of(daemon).write(1280 * "\0\0")
    stdin_of(daemon).flush()
    alive = 0
    while (message := listening.recv(4096)) == b"WATCHDOG=1":
        alive += 1
    assert message == b"STATUS=listening on stdin"
    stdin_of(daemon).close()
    while (message := listening.recv(4096)) == b"WATCHDOG=1":
        alive += 1
    assert message == b"STOPPING=1"
    assert listening.recv(4096) == b"STATUS=stopping"
    assert daemon.wait() == 0
    assert alive


def test_the_service_manager_is_told_each_state_once_and_a_reload_changes_none(
    program: str, runtime: Path, manager: tuple[socket.socket, str]
) -> None:
    listening, name = manager
    with ThreadPoolExecutor() as pool:
        said = pool.submit(messages, listening)
        with closing(Running(program, runtime, NOTIFY_SOCKET=name)) as daemon:
            for command in ("mute", "reload", "unmute", "stop"):
                send_request(command, daemon.control)
    assert [message.removeprefix("STATUS=") for message in said.result() if message.startswith("STATUS=")] == [
        "waiting for audio from stdin",
        "listening on stdin",
        "muted",
        "listening on stdin",
        "stopping",
    ]


def test_a_service_manager_that_is_gone_does_not_stop_the_daemon(kwsd: Command, runtime: Path) -> None:
    done = kwsd.run("run", "--device", "-", stdin=bytes(2560), NOTIFY_SOCKET=str(runtime / "gone"))
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_nothing_is_said_where_nobody_asks(manager: tuple[socket.socket, str]) -> None:
    listening, _ = manager
    listening.settimeout(0)
    Notifier({}).ready()
    with pytest.raises(BlockingIOError):
        listening.recv(4096)


@pytest.mark.timeout(60)
def test_a_service_manager_that_does_not_read_stops_nobody_and_then_gets_the_newest_messages(
    manager: tuple[socket.socket, str],
) -> None:
    listening, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    for number in range(2000):
        notifier.status(f"state {number}")
    notifier.ready()
    listening.settimeout(0)
    said = []
    with suppress(BlockingIOError):
        while True:
            said.append(listening.recv(4096))
    assert len(said) < 2000
    notifier.stopping()
    assert [listening.recv(4096) for _ in range(3)] == [b"STATUS=state 1999", b"READY=1", b"STOPPING=1"]


def test_the_service_manager_gets_one_clean_line(manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    Notifier({"NOTIFY_SOCKET": name}).status("listening on a\nREADY=1\x1b[2J\u2028\udcff")
    assert listening.recv(4096) == b"STATUS=listening on a?READY=1?[2J??"
