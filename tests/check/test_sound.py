"""``kwsd check`` with a real sound server: working, muted, silent, too loud, and frozen."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.pulse import PulseAudio, running_pulse

KWSD = str(Path(sys.executable).with_name("kwsd"))
MUTED = "the source delivers only zeros: it is muted or the wrong one"


@pytest.fixture
def pulse() -> Iterator[PulseAudio]:
    """A sound server for one test."""
    with running_pulse() as server:
        yield server


def pactl(pulse: PulseAudio, *command: str) -> None:
    subprocess.run(["pactl", *command], env=pulse.environment, check=True, stdout=subprocess.DEVNULL)


def microphone(pulse: PulseAudio) -> None:
    """Make a source the default that is not a monitor but records what is played."""
    pactl(pulse, "load-module", "module-remap-source", "master=speaker.monitor", "source_name=microphone")
    pactl(pulse, "set-default-source", "microphone")


def checked(pulse: PulseAudio, code: int, *arguments: str) -> dict[str, Any]:
    """The findings by name, and ``next``, of a check that ends with a code."""
    done = subprocess.run(
        [KWSD, "check", "--json", *arguments], env=pulse.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, "")
    answer = json.loads(done.stdout)
    return {"next": answer["next"]} | {finding["check"]: finding for finding in answer["checks"]}


def hiss(folder: Path, amplitude: float) -> Path:
    """Half a minute of noise."""
    noise = np.random.default_rng(0).normal(0, amplitude, 30 * 48_000)
    soundfile.write(folder / "hiss.wav", noise.clip(-1, 1), 48_000)
    return folder / "hiss.wav"


def test_nothing_is_wrong_with_a_server_and_a_microphone(pulse: PulseAudio, tmp_path: Path) -> None:
    microphone(pulse)
    with pulse.client("paplay", "--device=speaker", hiss(tmp_path, 0.01)):
        done = subprocess.run([KWSD, "check"], env=pulse.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "ready"
    assert "ok    sound server  pulseaudio " in done.stdout
    assert ", default source microphone\n" in done.stdout
    assert "ok    device        default opens at 16000 Hz, channels: 1" in done.stdout
    assert lines[-2].startswith("ok    level         ")
    assert not any(line.startswith(("FAIL", "warn")) for line in lines)


def test_a_muted_microphone_is_a_fault_with_a_command_that_helps(pulse: PulseAudio, tmp_path: Path) -> None:
    microphone(pulse)
    pactl(pulse, "set-source-mute", "microphone", "1")
    with pulse.client("paplay", "--device=speaker", hiss(tmp_path, 0.01)):
        found = checked(pulse, 69)
        assert found["level"]["text"] == MUTED
        assert found["next"] == "pactl set-source-mute @DEFAULT_SOURCE@ 0"
        subprocess.run(found["next"].split(), env=pulse.environment, check=True)
        assert checked(pulse, 0)["level"]["state"] == "ok"


def test_a_default_source_that_records_what_is_played_is_a_warning_and_its_silence_a_fault(pulse: PulseAudio) -> None:
    found = checked(pulse, 69)
    assert found["sound server"]["state"] == "warning"
    assert found["sound server"]["text"].endswith("speaker.monitor records what the computer plays, not a microphone")
    assert found["level"]["text"] == MUTED
    microphone(pulse)
    pactl(pulse, "set-default-source", "speaker.monitor")
    assert checked(pulse, 69)["next"] == "pactl set-default-source microphone"


@pytest.mark.parametrize(
    ("amplitude", "said", "cure"),
    [(3, "at full scale: turn the input down", "-10%"), (1e-4, "very quiet", "+10%")],
    ids=["too loud", "too quiet"],
)
def test_a_level_that_is_not_good_is_a_warning(
    pulse: PulseAudio, tmp_path: Path, amplitude: float, said: str, cure: str
) -> None:
    with pulse.client("paplay", "--device=speaker", hiss(tmp_path, amplitude)):
        level = checked(pulse, 0)["level"]
    assert level["state"] == "warning"
    assert said in level["text"]
    assert level["cure"] == f"pactl set-source-volume @DEFAULT_SOURCE@ {cure}"


def test_a_wrong_device_is_a_fault(pulse: PulseAudio) -> None:
    found = checked(pulse, 69, "--device", "headset")
    assert found["device"]["text"] == "there is no input device 'headset': there are 0 (default)"
    assert found["next"] == "kwsd devices"


def test_a_server_that_has_died_or_frozen_is_a_fault(pulse: PulseAudio) -> None:
    pulse.signal(signal.SIGSTOP)
    found = checked(pulse, 69)
    assert found["sound server"]["text"] == "the sound server does not answer within 5 s"
    assert found["device"]["state"] == "skipped"
    pulse.kill()
    found = checked(pulse, 69)
    assert found["sound server"]["text"].startswith("PulseAudio does not answer at ")
    assert found["next"]
