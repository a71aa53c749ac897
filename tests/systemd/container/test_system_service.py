"""The system unit with a simulated sound card: ALSA's file plugin reads the audio from a pipe."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from helpers.booted import Container, EventReader, Unit

pytestmark = pytest.mark.container

# The format that kwsd requests: float32, 16 kHz, mono. A read from an empty pipe waits, as on a real sound card.
ASOUND_CONF = """\
pcm.default { type file file /dev/null infile /run/microphone format raw slave.pcm { type null } }
ctl.default { type hw card 0 }
"""


@pytest.fixture
def microphone(container: Container, system_service: Unit) -> Iterator[int]:
    """A pipe that accepts audio as raw float32 samples."""
    (container.files / "etc" / "kwsd-asound.conf").write_text(ASOUND_CONF)
    system_service.change("[Service]", "Environment=ALSA_CONFIG_PATH=/etc/kwsd-asound.conf")
    container.root("mkfifo", "--mode=644", "/run/microphone")
    # Opened for reading too, so that the pipe stays open without another reader.
    pipe = os.open(container.files / "run" / "microphone", os.O_RDWR)
    try:
        yield pipe
    finally:
        os.close(pipe)
        container.root("rm", "/run/microphone")


def test_the_system_service_becomes_active_and_publishes_keywords_from_the_sound_card(
    container: Container, system_service: Unit, microphone: int
) -> None:
    system_service.systemctl("start")
    assert system_service.show("ActiveState") == "active"
    with EventReader(container, "/run/kwsd/events.sock") as reader:
        os.write(microphone, np.zeros(1280, np.float32).tobytes())
        reader.status("listening")
        assert system_service.show("StatusText") == "listening on default"
        clip = container.clip("stop")
        samples, _ = soundfile.read(container.files / clip.relative_to("/"), dtype="float32")
        # The pipe delivers the audio at once, so it must fit into the daemon's queue.
        os.write(microphone, np.concatenate([samples, np.zeros(9600, np.float32)]).tobytes())
        assert reader.keyword() == "stop"


@pytest.mark.usefixtures("microphone")
def test_the_system_service_has_a_dynamic_user_and_only_root_reaches_it(
    container: Container, system_service: Unit
) -> None:
    system_service.systemctl("start")
    status = (container.files / "proc" / system_service.show("MainPID") / "status").read_text()
    [uid] = {line.split()[1] for line in status.splitlines() if line.startswith("Uid:")}
    assert int(uid) >= 61184  # systemd.exec(5), DynamicUser=
    assert container.root("kwsd", "status", "--connect", "ipc:///run/kwsd/control.sock").returncode == 0
    refused = container.anna("kwsd", "status", "--connect", "ipc:///run/kwsd/control.sock", check=False)
    assert refused.returncode == 73
    system_service.systemctl("reload")
