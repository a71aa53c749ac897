"""Training reads the clips that ``kwsd review`` sorts."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from helpers.command import Command

from kwsd.clips.sorting import SPEAKER
from kwsd_train.data.dataset import load_clips, load_recordings
from kwsd_train.data.split import split_of_speaker

Run = Callable[..., subprocess.Popen[str]]


def test_sorted_clips_are_words_and_hard_negatives_for_training(
    kwsd: Command, kwsd_train: Run, data: Path, tmp_path: Path
) -> None:
    kept, into = tmp_path / "kept", tmp_path / "data"
    recording = f"file:{Path(__file__).parents[2] / 'kwsd' / 'demo' / 'demo.flac'}"
    kwsd.run("run", "--device", recording, "--save-clips", kept)
    saved = sorted(kept.iterdir())
    samples = [soundfile.read(path, dtype="int16")[0] for path in saved]
    (into / "speech_commands").mkdir(parents=True)
    (into / "speech_commands" / "yes").symlink_to(data / "speech_commands" / "yes")
    reviewed = kwsd.run("review", "--no-play", kept, "--into", into, stdin=b"y\nn\nw house\nq\n")
    assert f"next: kwsd-train fit --recipe default-round-1 --data {into}" in reviewed.stdout.splitlines()

    words = load_clips(into, words=["go", "house"], part="training", strict=True)
    np.testing.assert_array_equal(words.samples, [samples[0], samples[2]])
    assert words.words.tolist() == ["go", "house"]
    (mined,) = load_recordings(into / "mined", ["training"], strict=True)
    np.testing.assert_array_equal(mined, samples[1])
    explored, said = kwsd_train("explore", "--data", into, "--out", tmp_path / "figures", "--json").communicate()
    assert json.loads(explored)["house"]["training"] == 1, said


def test_no_sorted_clip_is_ever_measured_on() -> None:
    assert split_of_speaker(SPEAKER) == "training"
