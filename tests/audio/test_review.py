"""``kwsd review`` with a loudspeaker, in front of a microphone."""

from contextlib import closing
from pathlib import Path

import soundfile
from command import Command
from listening import Listening
from machines import alsa
from pulse import PulseAudio


def kept(stop: Path, folder: Path) -> Path:
    samples, rate = soundfile.read(stop, dtype="int16")
    folder.mkdir()
    soundfile.write(folder / "20260304T120000.000Z_stop_0.97_fired.wav", samples, rate)
    return folder


def test_a_clip_is_played_and_again_when_asked_to(pulse: PulseAudio, program: str, stop: Path, tmp_path: Path) -> None:
    folder = kept(stop, tmp_path / "clips")
    kwsd = Command(program, tmp_path)
    kwsd.environment = pulse.environment
    with closing(Listening(pulse, program)) as listening, pulse.noise():
        listening.wait_for("listening")
        done = kwsd.run("review", folder, "--into", tmp_path / "data", stdin=b"r\nq\n")
        assert done.returncode == 0, done.stderr
        assert [listening.keyword().keyword for _ in range(2)] == ["stop", "stop"]


def test_without_sound_it_says_what_there_is(kwsd: Command, stop: Path, tmp_path: Path) -> None:
    folder = kept(stop, tmp_path / "clips")
    kwsd.environment["ALSA_CONFIG_PATH"] = alsa(tmp_path)
    done = kwsd.run("review", folder, "--into", tmp_path / "data", stdin=b"y\n")
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1].endswith("; without sound there is  kwsd review --no-play")
    assert done.stderr.splitlines()[-1].startswith("kwsd: cannot play through the default device: ")
    assert not (tmp_path / "data").exists()
