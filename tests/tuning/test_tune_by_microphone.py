"""``kwsd tune`` with a microphone."""

import json
import signal
import subprocess
from pathlib import Path

from helpers.pipes import stderr_of
from helpers.pulse import PulseAudio


def test_it_listens_to_the_microphone_and_waits_for_one_that_is_lost(
    pulse: PulseAudio, program: str, stop: Path
) -> None:
    with subprocess.Popen(
        [program, "tune", "--json"], env=pulse.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tune:
        assert (
            stderr_of(tune).readline()
            == "listening to default until Ctrl+C; detections with the thresholds in force:\n"
        )
        with pulse.noise():
            pulse.play(stop)
            assert stderr_of(tune).readline().split()[1] == "stop"
        pulse.kill()
        assert stderr_of(tune).readline().endswith(": waiting for the device\n")
        pulse.start()
        assert stderr_of(tune).readline().startswith("listening to default ")
        tune.send_signal(signal.SIGINT)
        found = json.loads(tune.communicate()[0])
    assert tune.returncode == 0
    assert found["now"]["detections"]["stop"] == 1
