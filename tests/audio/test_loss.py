"""What becomes of the daemon when the sound server dies: it never stays on, deaf and silent."""

import json
import subprocess
from collections.abc import Iterator

import pytest
from pulse import PulseAudio, running_pulse

from kwsd.client import Subscription


@pytest.fixture
def pulse() -> Iterator[PulseAudio]:
    """A sound server for one test."""
    with running_pulse() as server:
        yield server


def test_a_daemon_whose_sound_server_dies_says_so_and_ends(pulse: PulseAudio, program: str) -> None:
    with (
        Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as subscription,
        subprocess.Popen([program, "run"], env=pulse.environment, stderr=subprocess.PIPE, text=True) as daemon,
    ):
        while next_state(subscription) != "listening":
            pass
        pulse.kill()
        last = daemon.stderr.readlines()[-1]
        while next_state(subscription) != "stopping":
            pass
    assert last.startswith("kwsd: input device default is gone: ")
    assert daemon.returncode == 75


def test_without_a_sound_server_the_daemon_says_what_is_missing(pulse: PulseAudio, program: str) -> None:
    pulse.kill()
    ended = subprocess.run([program, "run"], env=pulse.environment, capture_output=True, text=True, check=False)
    assert ended.stderr.startswith("kwsd: there is no input device")
    assert ended.returncode == 69


def next_state(subscription: Subscription) -> str:
    """State in the next event."""
    message = subscription.receive(timeout_s=30)
    assert message
    return str(json.loads(message.body).get("state"))
