"""Counts of detections by threshold, and thresholds for a rate of detections."""

import msgspec
import numpy as np
import pytest
import soundfile

from kwsd import Spotter, load_model
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.models.bundle import DetectorSettings
from kwsd.tuning.scoring import RecordingScores, score_recordings
from kwsd.tuning.thresholds import GRID, ThresholdTable, tabulate_thresholds, thresholds_for_rate

SAMPLES, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
LABELS = ("_unknown_", "no", "yes")
HOP = 1280
HOUR = 45_000
"""Windows."""

SETTINGS = DetectorSettings({"no": 0.9, "yes": 0.95}, smoothing_windows=1, hits=1)


@pytest.fixture(scope="module")
def scored() -> RecordingScores:
    return score_recordings(load_model(), [SAMPLES])


@pytest.fixture(scope="module")
def table(scored: RecordingScores) -> ThresholdTable:
    return tabulate_thresholds(scored, load_model().detector)


def peaks(*scores: float, windows: int = HOUR) -> RecordingScores:
    """An hour in which "no" has these scores, one a minute, and "yes" the same half a minute later."""
    rows = np.zeros((windows, 3), np.float32)
    for number, peak in enumerate(scores):
        rows[750 * number, 1] = rows[750 * number + 375, 2] = peak
    return RecordingScores(LABELS, rows, HOP * np.arange(1, windows + 1), np.array([0]), windows * HOP / 16_000)


def detected(table: ThresholdTable, word: str, threshold: float) -> int:
    return next(count.detections for count in table.keywords[word] if count.threshold == threshold)


@pytest.mark.parametrize(("word", "threshold"), [("up", 0.5), ("yes", 0.95), ("yes", 0.98), ("go", 0.999)])
def test_a_count_equals_what_the_spotter_finds_with_the_threshold(
    table: ThresholdTable, word: str, threshold: float
) -> None:
    spotter = Spotter(load_model().with_thresholds({word: threshold}))
    found = [detection.keyword for detection in spotter.feed(SAMPLES) + spotter.flush()]
    assert detected(table, word, threshold) == found.count(word)


def test_a_column_changes_one_threshold_and_the_last_column_all_thresholds() -> None:
    table = tabulate_thresholds(peaks(0.97, 0.96, 0.93), SETTINGS)
    assert table.now.detections == {"no": 3, "yes": 2}
    assert [detected(table, "no", threshold) for threshold in (0.5, 0.9, 0.95, 0.98)] == [3, 3, 2, 0]
    assert [detected(table, "yes", threshold) for threshold in (0.5, 0.9, 0.95, 0.98)] == [3, 3, 2, 0]
    assert {count.threshold: count.detections for count in table.all}[0.95] == 4


def test_the_thresholds_in_force_have_rows_of_their_own(table: ThresholdTable) -> None:
    in_force = load_model().detector.thresholds
    for word, counts in table.keywords.items():
        assert [count.threshold for count in counts] == sorted({*GRID, *in_force.values()})
        assert detected(table, word, in_force[word]) == table.now.detections[word]


def test_rates_are_per_hour(table: ThresholdTable, scored: RecordingScores) -> None:
    lowest = table.all[0]
    assert lowest.detections > 0
    assert lowest.per_hour == pytest.approx(lowest.detections * 3600 / (len(SAMPLES) / 16_000))
    assert table.seconds == scored.seconds


def test_all_thresholds_are_raised_together_until_the_rate_is_low_enough() -> None:
    found = thresholds_for_rate(peaks(0.97, 0.96, 0.93), SETTINGS, 2)
    assert found is not None
    assert found.detections == {"no": 2, "yes": 0}
    odds = {word: threshold / (1 - threshold) for word, threshold in found.thresholds.items()}
    assert odds["yes"] / odds["no"] == pytest.approx(0.95 / 0.05 / (0.9 / 0.1), rel=0.02)
    # A tenth of log odds lower, "yes" would have been detected too.
    assert 0.97 < found.thresholds["yes"] < 0.973


def test_no_threshold_is_lowered_if_the_recordings_are_too_short_for_the_rate() -> None:
    found = thresholds_for_rate(peaks(0.7), SETTINGS, 3.6)
    assert found is not None
    assert found.thresholds == SETTINGS.thresholds


def test_thresholds_are_lowered_while_no_false_alarm_is_detected() -> None:
    found = thresholds_for_rate(peaks(0.7), SETTINGS, 3.8)
    assert found is not None
    assert found.thresholds == {"no": 0.5, "yes": 0.5}
    assert found.detections == {"no": 1, "yes": 1}
    fewer = thresholds_for_rate(peaks(0.7, 0.7, 0.7), SETTINGS, 3.8)
    assert fewer is not None
    assert fewer.detections == {"no": 3, "yes": 0}


def test_a_threshold_above_the_highest_choice_does_not_change() -> None:
    found = thresholds_for_rate(peaks(0.97), msgspec.structs.replace(SETTINGS, thresholds={"no": 1.0, "yes": 0.95}), 1)
    assert found is not None
    assert found.thresholds == {"no": 1.0, "yes": 0.95}


def test_a_rate_that_no_thresholds_reach_has_no_choice() -> None:
    assert thresholds_for_rate(peaks(1.0, 1.0), SETTINGS, 3.9) is None
