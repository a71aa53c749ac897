"""No program that an action has started outlives `kwsd listen --exec`, however either of them ends."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from helpers.command import Command
from helpers.pipes import stderr_of
from helpers.publishing import STATUS, keyword_event, wait_for_subscriber

from kwsd.bus.publisher import Publisher
from kwsd.system.processes import list_processes

# Each writes "started" to its output, which its descendants hold open.
COMMANDS = {
    "ignores SIGTERM": "trap '' TERM; echo started; sleep 1000; sleep 1000",
    "starts a session": "setsid sleep 1000 & echo started; wait",
    "is stopped": "sleep 1000 & kill -STOP $!; echo started; wait",
    "daemon of a running command": "(setsid sh -c 'sleep 1000 & exit' &); echo started; sleep 1000",
    "daemon of a finished command": "(setsid sh -c 'sleep 1000 & exit' &); echo started",
    "daemon without environment": "(env -i setsid sh -c '(setsid sleep 1000 &)' &); echo started",
    "daemon that ignores SIGTERM": "trap '' TERM HUP INT; (setsid sh -c '(setsid sleep 1000 &)' &); echo started",
}


@pytest.fixture
def publisher(runtime: Path) -> Iterator[Publisher]:
    with Publisher(f"ipc://{runtime}/events.sock") as publisher:
        yield publisher


@pytest.fixture
def pipe(runtime: Path) -> Path:
    path = runtime / "pipe"
    os.mkfifo(path)
    return path


def listener(kwsd: Command, publisher: Publisher, pipe: Path, script: str, *options: str) -> subprocess.Popen[str]:
    """`kwsd listen`, which has received an event and started the script."""
    path = kwsd.home / "action.sh"
    path.write_text(f"exec > {pipe}\n{script}\n")
    process = kwsd.start("listen", "--exec", f"sh {path}", "--connect", publisher.address, *options)
    wait_for_subscriber(publisher)
    publisher.publish(STATUS)
    publisher.publish(keyword_event("go"))
    return process


def started(output: TextIO) -> bool:
    return output.readline() == "started\n"


def child_of(process: subprocess.Popen[str]) -> int:
    """The process that does the work of `kwsd listen --exec`."""
    [child] = [pid for pid, info in list_processes().items() if info.parent == process.pid]
    return child


@pytest.mark.slow
@pytest.mark.parametrize("script", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_everything_that_a_command_has_started_ends_with_its_parent(
    kwsd: Command, publisher: Publisher, pipe: Path, script: str, number: signal.Signals
) -> None:
    process = listener(kwsd, publisher, pipe, script)
    with pipe.open() as output:
        assert started(output)
        process.send_signal(number)
        assert output.read() == ""
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("script", COMMANDS.values(), ids=COMMANDS)
def test_it_also_ends_when_the_process_that_started_the_command_is_killed(
    kwsd: Command, publisher: Publisher, pipe: Path, script: str
) -> None:
    process = listener(kwsd, publisher, pipe, script)
    with pipe.open() as output:
        assert started(output)
        os.kill(child_of(process), signal.SIGKILL)
        assert output.read() == ""
    assert process.wait() == 128 + signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_does_not_interrupt_the_end_of_commands(
    kwsd: Command, publisher: Publisher, pipe: Path, number: signal.Signals
) -> None:
    process = listener(kwsd, publisher, pipe, COMMANDS["ignores SIGTERM"])
    child = child_of(process)
    with pipe.open() as output:
        assert started(output)
        ended = os.pidfd_open(process.pid)
        # Many signals, to both processes, as Ctrl+C and the service manager send them.
        while not select.select([ended], [], [], 0.05)[0]:
            process.send_signal(number)
            if child in list_processes():
                os.kill(child, number)
        os.close(ended)
        assert output.read() == ""
    assert process.wait() == 130
    assert "Traceback" not in stderr_of(process).read()


@pytest.mark.slow
def test_the_last_event_waits_for_its_command_and_ends_what_the_command_leaves(
    kwsd: Command, publisher: Publisher, pipe: Path
) -> None:
    process = listener(kwsd, publisher, pipe, COMMANDS["daemon of a finished command"], "--count", "1")
    with pipe.open() as output:
        assert output.read() == "started\n"
    assert process.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["starts a session", "daemon of a running command", "ignores SIGTERM"])
def test_a_command_that_takes_too_long_ends_with_its_daemons(
    kwsd: Command, publisher: Publisher, pipe: Path, name: str
) -> None:
    config = kwsd.home / "config.toml"
    script = f"exec > {pipe}; {COMMANDS[name]}"
    config.write_text(f'[actions.go]\nshell = true\ntimeout_s = 0.5\ncommand = """{script}"""\n')
    process = kwsd.start("act", "--config", config, "--connect", publisher.address)
    wait_for_subscriber(publisher)
    publisher.publish(keyword_event("go"))
    with pipe.open() as output:
        assert output.read() == "started\n"
    assert process.poll() is None
    process.terminate()
    _, stderr = process.communicate()
    assert "kwsd: action for go: stopped because it still ran after 0.5 s\n" in stderr
    assert process.returncode == 0


@pytest.mark.slow
def test_orphans_leave_no_zombies(kwsd: Command, publisher: Publisher, pipe: Path) -> None:
    process = listener(kwsd, publisher, pipe, "(setsid sh -c 'true &' &); echo started")
    child = child_of(process)
    for sequence in range(2, 12):
        with pipe.open() as output:
            assert output.read() == "started\n"
        publisher.publish(keyword_event(f"go{sequence}"))
    with pipe.open() as output:
        assert output.read() == "started\n"
    zombies = [pid for pid, info in list_processes().items() if info.parent == child and info.ended]
    assert len(zombies) < 5


def test_a_command_is_found_whatever_its_name(tmp_path: Path) -> None:
    program = tmp_path / ") R 1 1 ("
    program.symlink_to(sys.executable)
    with subprocess.Popen([program, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert list_processes()[process.pid].parent == os.getpid()
        process.kill()
