"""What becomes of the daemon when the sound server dies: it says so, comes back, and never stays on deaf and silent."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulse import PulseAudio, running_pulse

from kwsd.client import Subscription


@pytest.fixture
def pulse() -> Iterator[PulseAudio]:
    """A sound server for one test."""
    with running_pulse() as server:
        yield server


@pytest.fixture
def events(pulse: PulseAudio, program: str) -> Iterator[Subscription]:
    """Events of a daemon that is listening."""
    with (
        Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as subscription,
        subprocess.Popen([program, "run"], env=pulse.environment) as daemon,
    ):
        wait_for(subscription, "listening")
        yield subscription
        daemon.terminate()
    assert daemon.returncode == 0


def test_a_daemon_whose_sound_server_was_restarted_hears_the_next_word(
    pulse: PulseAudio, events: Subscription, clips: Path
) -> None:
    pulse.kill()
    lost = wait_for(events, "lost")
    assert lost["reason"].startswith("input device default is gone: ")
    pulse.start()
    back = wait_for(events, "listening")
    assert back["gaps"] == lost["gaps"] + 1
    pulse.play(min((clips / "stop").glob("*.flac")))
    assert keyword(events) == "stop"


def test_a_sound_server_that_freezes_is_noticed_and_its_return_too(pulse: PulseAudio, events: Subscription) -> None:
    pulse.signal(signal.SIGSTOP)
    assert wait_for(events, "lost")["reason"] == "default delivers no audio"
    pulse.signal(signal.SIGCONT)
    assert wait_for(events, "listening")["gaps"] == 1


def test_a_daemon_whose_device_hangs_can_be_stopped(pulse: PulseAudio, program: str) -> None:
    with (
        Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as subscription,
        pulse.client(program, "run") as daemon,
    ):
        wait_for(subscription, "listening")
        pulse.signal(signal.SIGSTOP)
        wait_for(subscription, "lost")
        daemon.terminate()
        wait_for(subscription, "stopping")
        assert daemon.wait(timeout=30) == 0


def test_a_daemon_that_is_stopped_before_it_hears_anything_ends_well(pulse: PulseAudio, program: str) -> None:
    with (
        Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as subscription,
        pulse.client(program, "run") as daemon,
    ):
        wait_for(subscription, "starting")
        daemon.terminate()
        assert daemon.wait() == 0


def test_the_service_manager_is_told_why_the_microphone_is_lost_and_when_it_is_back(
    pulse: PulseAudio, program: str
) -> None:
    path = pulse.folder / "manager"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        with pulse.client("env", f"NOTIFY_SOCKET={path}", program, "run"):
            wait_for_line(manager, "STATUS=listening on default")
            pulse.kill()
            wait_for_line(manager, "STATUS=lost: input device default is gone: ")
            pulse.start()
            wait_for_line(manager, "STATUS=listening on default")


def test_without_a_sound_server_the_daemon_says_what_is_missing(pulse: PulseAudio, program: str) -> None:
    pulse.kill()
    ended = subprocess.run([program, "run"], env=pulse.environment, capture_output=True, text=True, check=False)
    assert ended.stderr.startswith("kwsd: there is no input device")
    assert ended.returncode == 69


def wait_for_line(manager: socket.socket, beginning: str) -> None:
    """Until the service manager is told something."""
    while not manager.recv(4096).decode().startswith(beginning):
        pass


def wait_for(subscription: Subscription, state: str) -> dict[str, Any]:
    """The next status with a state."""
    while True:
        event = receive(subscription)
        if event.get("state") == state:
            return event


def keyword(subscription: Subscription) -> str:
    """The next keyword."""
    while True:
        event = receive(subscription)
        if event["type"] == "keyword":
            return str(event["keyword"])


def receive(subscription: Subscription) -> dict[str, Any]:
    """The next event."""
    message = subscription.receive(timeout_s=30)
    assert message
    event: dict[str, Any] = json.loads(message.body)
    return event
