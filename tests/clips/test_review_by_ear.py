"""``kwsd review`` with a loudspeaker, in front of a microphone."""

import subprocess
from pathlib import Path

import numpy as np
import soundfile
from helpers.command import Command
from helpers.machines import alsa
from helpers.pipes import stdin_of, stdout_of
from helpers.pulse import PulseAudio

LOUD = 1000
"""Louder than the noise, and quieter than a word."""


def kept(stop: Path, folder: Path) -> Path:
    samples, rate = soundfile.read(stop, dtype="int16")
    folder.mkdir()
    soundfile.write(folder / "20260304T120000.000Z_stop_0.97_fired.wav", samples, rate)
    return folder


def listen(recorder: subprocess.Popen[bytes], *, loud: bool) -> None:
    """Read from a recorder until something is heard, or until nothing is for half a second."""
    quiet = 0
    while quiet < 10:
        samples = np.frombuffer(stdout_of(recorder).read(1600), "<i2")  # 50 ms
        quiet = 0 if np.abs(samples).max() > LOUD else quiet + 1
        if loud and not quiet:
            return
        quiet = 0 if loud else quiet


def test_a_clip_is_played_and_again_when_asked_to(pulse: PulseAudio, program: str, stop: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [program, "review", kept(stop, tmp_path / "clips"), "--into", tmp_path / "data"]
    record = [
        "parec",
        "--device=speaker.monitor",
        "--rate=16000",
        "--channels=1",
        "--format=s16le",
        "--latency-msec=50",
    ]
    with (
        pulse.noise(),
        subprocess.Popen(record, env=pulse.environment, stdout=subprocess.PIPE) as recorder,
        subprocess.Popen(
            command, env=pulse.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as review,
    ):
        listen(recorder, loud=True)
        listen(recorder, loud=False)
        stdin_of(review).write("r\n")
        stdin_of(review).flush()
        listen(recorder, loud=True)
        recorder.terminate()
        assert review.communicate("q\n")[1].count("1/1") == 2


def test_without_sound_the_error_suggests_no_play(kwsd: Command, stop: Path, tmp_path: Path) -> None:
    folder = kept(stop, tmp_path / "clips")
    kwsd.environment["ALSA_CONFIG_PATH"] = alsa(tmp_path)
    done = kwsd.run("review", folder, "--into", tmp_path / "data", stdin=b"y\n")
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1].endswith("; to review without sound:  kwsd review --no-play")
    assert done.stderr.splitlines()[-1].startswith("kwsd: cannot play through the default device: ")
    assert not (tmp_path / "data").exists()
