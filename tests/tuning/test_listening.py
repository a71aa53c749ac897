"""Scores of files and devices for ``kwsd tune``, without the command line."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd import load_model
from kwsd.config.schema import Config, StreamConfig
from kwsd.errors import UsageError
from kwsd.tuning.listening import configured_device, score_device, score_files
from kwsd.tuning.scoring import replay_detector

MODEL = load_model()


def test_scores_of_files_hold_their_detections_and_each_error(two_words: Path, tmp_path: Path) -> None:
    audio = score_files(MODEL, [two_words, tmp_path / "none.wav"])
    assert audio.scores is not None
    assert len(replay_detector(audio.scores, MODEL.detector)) == 2
    assert [str(error) for error in audio.errors] == [f"cannot read {tmp_path}/none.wav: No such file or directory"]
    assert audio.exit_code == 65


def test_files_without_audio_have_no_scores(tmp_path: Path) -> None:
    audio = score_files(MODEL, [tmp_path / "none.wav"])
    assert audio.scores is None
    assert audio.exit_code == 65


def test_a_device_is_scored_until_its_end_and_its_detections_are_reported(two_words: Path) -> None:
    lines: list[str] = []
    audio = score_device(MODEL, f"file:{two_words}", math.inf, lambda: False, lines.append)
    assert audio.errors == []
    assert audio.scores is not None
    assert audio.scores.seconds == pytest.approx(soundfile.info(two_words).duration)
    assert lines[0] == f"listening to file:{two_words} until Ctrl+C; detections with the thresholds in force:"
    assert len(lines) == 3


def test_a_device_is_scored_until_the_time_is_over(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(5 * 16_000), 16_000)
    audio = score_device(MODEL, f"file:{tmp_path}/silence.wav", 1, lambda: False, lambda _line: None)
    assert audio.scores is not None
    assert audio.scores.seconds == pytest.approx(1, abs=0.08)


def test_a_device_that_is_stopped_at_once_has_neither_scores_nor_errors(two_words: Path) -> None:
    audio = score_device(MODEL, f"file:{two_words}", math.inf, lambda: True, lambda _line: None)
    assert (audio.scores, audio.errors, audio.exit_code) == (None, [], 0)


def test_the_device_of_several_streams_must_be_chosen() -> None:
    assert configured_device(Config(device="USB Audio")) == "USB Audio"
    two = Config(stream=[StreamConfig("desk", "USB Audio"), StreamConfig("door", "Webcam")])
    with pytest.raises(UsageError, match=r"choose one with --device: 'USB Audio' \(desk\), Webcam \(door\)$"):
        configured_device(two)
