"""A default source that is not the microphone: the daemon hears nothing but zeros, and says so."""

import subprocess
from pathlib import Path

from pulse import PulseAudio

from kwsd.client import Subscription
from kwsd.events import StatusEvent, decode


def reason(subscription: Subscription, *, empty: bool) -> str:
    """Reason in the next status of a listening daemon that gives one, or none."""
    while True:
        message = subscription.receive(timeout_s=30)
        assert message
        event = decode(message.body)
        if isinstance(event, StatusEvent) and event.state == "listening" and (event.reason == "") == empty:
            return event.reason


def test_a_source_of_zeros_is_noticed_and_sound_too(pulse: PulseAudio, program: str, clips: Path) -> None:
    with (
        Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as subscription,
        subprocess.Popen([program, "run"], env=pulse.environment) as daemon,
    ):
        assert "nothing but zeros" in reason(subscription, empty=False)
        pulse.play(min((clips / "stop").glob("*.flac")))
        assert reason(subscription, empty=True) == ""
        daemon.terminate()
    assert daemon.returncode == 0
