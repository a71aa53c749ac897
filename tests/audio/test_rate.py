"""A device that refuses 16 kHz: a JACK server without hardware, which runs at 48 kHz and nothing else."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwsd import StatusEvent
from kwsd.bus.client import Subscription
from kwsd.bus.events import decode_event

SERVER = "kwsd-tests"
ASOUND_CONF = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type null }
pcm.studio {
    type jack
    capture_ports { 0 system:capture_1  1 system:capture_2 }
}
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """For programs that are to find the server as the device ``studio``."""
    asound = tmp_path / "asound.conf"
    asound.write_text(ASOUND_CONF)
    own = {"ALSA_CONFIG_PATH": str(asound), "XDG_RUNTIME_DIR": str(tmp_path)}
    environment = os.environ | own | {"JACK_DEFAULT_SERVER": SERVER, "JACK_NO_AUDIO_RESERVATION": "1"}
    command = ["jackd", "--no-realtime", f"--name={SERVER}", "-d", "dummy", "--rate", "48000"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        subprocess.run(["jack_wait", "--server", SERVER, "--wait", "--timeout", "30"], env=environment, check=True)
        yield environment
        server.terminate()


def test_it_is_opened_at_its_own_rate_and_listened_to(
    environment: dict[str, str], program: str, tmp_path: Path
) -> None:
    devices = subprocess.run([program, "devices"], env=environment, capture_output=True, text=True, check=True).stdout
    assert "studio  (2 in, 48000 Hz)" in devices
    with (
        Subscription(f"ipc://{tmp_path}/kwsd/events.sock") as subscription,
        subprocess.Popen([program, "run", "--device", "studio"], env=environment) as daemon,
    ):
        status = next_status(subscription)
        while status.silent_s < 4:  # the dummy driver delivers zeros
            status = next_status(subscription)
        daemon.terminate()
    assert (status.state, status.gaps) == ("listening", 0)


def next_status(subscription: Subscription) -> StatusEvent:
    """The next status event."""
    message = subscription.receive(timeout_s=30)
    assert message
    status = decode_event(message.body)
    assert isinstance(status, StatusEvent)
    return status
