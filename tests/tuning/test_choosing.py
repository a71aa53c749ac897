"""The choice of thresholds and its checks, without the command line."""

from pathlib import Path

import numpy as np
import pytest

from kwsd.errors import ConfigError, ModelError, UsageError
from kwsd.models.bundle import DetectorSettings
from kwsd.tuning.choosing import choose_thresholds, load_tuning_setup, write_choice
from kwsd.tuning.scoring import RecordingScores

HOP = 1280
SETTINGS = DetectorSettings({"no": 0.9, "yes": 0.95}, smoothing_windows=1, hits=1)


def scores(*peaks: float, hours: float = 1.0) -> RecordingScores:
    """Audio in which "yes" has these scores, one a minute."""
    windows = round(hours * 3600 * 16_000 / HOP)
    rows = np.zeros((windows, 3), np.float32)
    rows[: 750 * len(peaks) : 750, 2] = peaks
    ends = HOP * np.arange(1, windows + 1)
    return RecordingScores(("_unknown_", "no", "yes"), rows, ends, np.array([0]), hours * 3600)


def test_without_a_wish_there_is_no_choice() -> None:
    assert choose_thresholds(scores(0.97), SETTINGS, {}, None, pytest.fail) is None


def test_wanted_thresholds_override_those_in_force() -> None:
    choice = choose_thresholds(scores(0.97, 0.99), SETTINGS, {"yes": 0.98}, None, pytest.fail)
    assert choice is not None
    assert choice.thresholds == {"no": 0.9, "yes": 0.98}
    assert choice.detections == {"no": 0, "yes": 1}


def test_audio_that_is_too_short_for_a_rate_is_reported() -> None:
    lines: list[str] = []
    choice = choose_thresholds(scores(), SETTINGS, {}, 1, lines.append)
    assert choice is not None
    assert choice.thresholds == SETTINGS.thresholds
    assert lines == [
        "no threshold is lowered: 1.00 h of audio cannot prove this rate, 3.7 h without a detection are enough"
    ]


@pytest.mark.parametrize(("per_hour", "words"), [(1, "1 false alarm per hour"), (2, "2 false alarms per hour")])
def test_a_rate_that_only_unusable_thresholds_reach_is_refused(per_hour: float, words: str) -> None:
    with pytest.raises(UsageError, match=f"^no usable thresholds stay below {words} on this audio: does it contain"):
        choose_thresholds(scores(1, 1, 1), SETTINGS, {}, per_hour, lambda _line: None)


def test_a_setup_has_the_configuration_the_model_and_the_wanted_thresholds(tmp_path: Path) -> None:
    (file := tmp_path / "config.toml").write_text("thresholds.go = 0.6\n")
    setup = load_tuning_setup({"device": "Webcam"}, file, ["stop=0.8"])
    assert setup.config.device == "Webcam"
    assert setup.model.detector.thresholds["go"] == 0.6
    assert setup.wanted == {"stop": 0.8}


@pytest.mark.parametrize(("assignment", "error"), [("go=2", ConfigError), ("house=0.5", ModelError)])
def test_an_impossible_threshold_is_refused_before_any_audio(
    tmp_path: Path, assignment: str, error: type[Exception]
) -> None:
    (file := tmp_path / "config.toml").touch()
    with pytest.raises(error):
        load_tuning_setup({}, file, [assignment])


def test_only_changed_thresholds_are_written(tmp_path: Path) -> None:
    (file := tmp_path / "config.toml").touch()
    setup = load_tuning_setup({}, file, [])
    in_force = setup.model.detector.thresholds
    lines: list[str] = []
    assert write_choice(setup.model.detector, in_force, file, lines.append) is None
    assert write_choice(setup.model.detector, in_force | {"go": 0.8}, file, lines.append) == file
    assert file.read_text() == "[thresholds]\ngo = 0.8\n"
    assert lines == [
        "nothing was written: these thresholds are already in force",
        f"wrote {file}: go 0.8",
        "to apply them to a running daemon:  kwsd reload",
    ]
