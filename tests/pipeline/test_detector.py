"""The detector, on scores written by hand and drawn by hypothesis; the sample index is its only clock."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from helpers.scores import random_scores, random_settings
from hypothesis import given

from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.models.bundle import DetectorSettings
from kwsd.pipeline.detector import Detection, Detector, evidence, keyword_columns

Rows = Sequence[Sequence[float]] | Float32

HOP = 1280
LABELS = ("_silence_", "_unknown_", "go", "stop")
SETTINGS = DetectorSettings({"go": 0.8, "stop": 0.6}, smoothing_windows=2, hits=2, refractory_s=0.75, rearm=0.5)
RAW = msgspec.structs.replace(SETTINGS, smoothing_windows=1, hits=1)

SILENCE = [1, 0, 0, 0]
UNKNOWN = [0, 1, 0, 0]
GO = [0, 0, 1, 0]
STOP = [0, 0, 0, 1]


class Stream:
    """A detector, and the evidence of the newest windows that it judges."""

    def __init__(self, labels: tuple[str, ...], settings: DetectorSettings) -> None:
        self.detector = Detector(labels, settings)
        self.recent = np.zeros((settings.smoothing_windows, len(self.detector.keywords)), np.float32)
        self._columns = keyword_columns(labels)

    def feed(self, rows: Rows, start: int) -> list[Detection]:
        """Detections in windows with these scores. The first window ends at the sample `start`."""
        found = []
        for number, scores in enumerate(np.asarray(rows, np.float32)):
            self.recent = np.vstack([self.recent[1:], evidence(scores, self._columns)])
            found.append(self.detector.decide(self.detector.judge(self.recent), start + HOP * number))
        return [detection for detection in found if detection]


def detect(rows: Rows, settings: DetectorSettings = SETTINGS) -> list[Detection]:
    return Stream(LABELS, settings).feed(rows, HOP)


def words(rows: Rows, settings: DetectorSettings = SETTINGS) -> list[str]:
    return [detection.keyword for detection in detect(rows, settings)]


def test_one_utterance_is_one_detection_however_long_its_score_lasts() -> None:
    assert words([SILENCE] * 5 + [GO] * 50 + [SILENCE] * 5) == ["go"]


def test_the_same_word_twice_is_two_detections_without_another_label_between_them() -> None:
    assert words([GO] * 8 + [[0.6, 0, 0.4, 0]] * 8 + [GO] * 8) == ["go"]
    assert words([GO] * 8 + [[0.7, 0, 0.3, 0]] * 8 + [GO] * 8) == ["go", "go"]


def test_two_words_in_a_row_are_two_detections() -> None:
    assert words([GO] * 6 + [STOP] * 20) == ["go", "stop"]


def test_a_score_below_its_own_threshold_is_no_detection() -> None:
    assert words([[0, 0.25, 0.75, 0]] * 20) == []
    assert words([[0, 0.25, 0, 0.75]] * 20) == ["stop"]


def test_windows_torn_between_two_keywords_speak_for_both_and_the_likelier_is_detected() -> None:
    assert words([[0, 0, 0.7, 0.3]] * 20) == ["go"]  # 0.84 of 0.8
    assert words([[0, 0.3, 0.7, 0]] * 20) == []


def test_a_model_that_knows_nothing_but_keywords_is_taken_at_its_word() -> None:
    stream = Stream(("go", "stop"), SETTINGS)
    assert stream.feed([[0.7, 0.3]] * 20, HOP) == []
    assert stream.detector.judge(stream.recent).smoothed.tolist() == pytest.approx([0.7, 0.3])


def test_the_mean_of_the_smoothing_windows_decides() -> None:
    alternating: Rows = [[0, 0, 1, 0], [0, 0.5, 0.5, 0]] * 20
    assert words(alternating, msgspec.structs.replace(SETTINGS, smoothing_windows=1)) == []
    assert words(alternating, msgspec.structs.replace(SETTINGS, thresholds={"go": 0.7, "stop": 0.7})) == ["go"]


@pytest.mark.parametrize(("hole", "windows"), [(UNKNOWN, 9), ([0, 0.9, 0.1, 0], 9), ([0, 0.8, 0.2, 0], 6)])
def test_a_window_that_hardly_shows_the_word_is_made_up_for_only_as_the_oldest(hole: list[float], windows: int) -> None:
    (detection,) = detect([GO] * 3 + [hole] + [GO] * 5, msgspec.structs.replace(RAW, smoothing_windows=6))
    assert detection.sample == windows * HOP


@pytest.mark.parametrize("before", range(5, 12))
def test_a_lower_threshold_counts_from_the_next_window_on(before: int) -> None:
    stream = Stream(LABELS, msgspec.structs.replace(RAW, smoothing_windows=5, thresholds={"go": 0.9, "stop": 0.9}))
    rows = [[0, 0.3, 0.7, 0]] * before
    assert stream.feed(rows, HOP) == []
    stream.detector.set_thresholds({"go": 0.6, "stop": 0.9})
    assert stream.feed(rows[:1], HOP * (before + 1))


def test_fewer_hits_in_a_row_than_asked_for_are_no_detection() -> None:
    settings = msgspec.structs.replace(RAW, hits=3)
    assert words([GO, GO, SILENCE] * 10, settings) == []
    assert words([GO, GO, GO], settings) == ["go"]


def test_the_decision_is_dated_at_the_end_of_its_window() -> None:
    (detection,) = detect([SILENCE] * 4 + [GO] * 4, RAW)
    assert detection == Detection("go", 1.0, 5 * HOP)
    assert detection.time_s == 5 * HOP / SAMPLE_RATE
    assert detection.window == (5 * HOP - 16_000, 5 * HOP)


def test_a_reset_forgets_scores_but_not_the_refractory_period() -> None:
    stream = Stream(LABELS, RAW)
    assert stream.feed([GO], HOP)
    stream.detector.reset()
    assert not stream.feed([GO], 2 * HOP)
    assert stream.feed([GO], 12 * HOP)


def test_a_model_without_reserved_labels_needs_no_silence_to_be_armed_again() -> None:
    stream = Stream(("go", "stop"), msgspec.structs.replace(RAW, thresholds={"go": 0.8, "stop": 0.8}))
    rows = [[1, 0]] * 3 + [[0.5, 0.5]] * 9 + [[1, 0]] * 3
    assert len(stream.feed(rows, 0)) == 1
    rows = [[1, 0]] * 3 + [[0.1, 0.9]] * 12 + [[1, 0]] * 12
    assert [detection.keyword for detection in stream.feed(rows, 100 * HOP)] == ["stop", "go"]


@given(rows=random_scores, drawn=random_settings)
def test_two_detections_are_never_within_the_refractory_period(rows: np.ndarray, drawn: DetectorSettings) -> None:
    samples = [detection.sample for detection in detect(rows, drawn)]
    assert all(gap >= round(drawn.refractory_s * SAMPLE_RATE) for gap in np.diff(samples))


@given(rows=random_scores, drawn=random_settings)
def test_silence_and_unknown_words_never_fire(rows: np.ndarray, drawn: DetectorSettings) -> None:
    rows = rows * np.array([1, 1, 0, 0], np.float32)
    assert detect(rows, drawn) == []


@given(rows=random_scores, drawn=random_settings)
def test_every_detection_has_reached_its_threshold(rows: np.ndarray, drawn: DetectorSettings) -> None:
    for detection in detect(rows, drawn):
        assert detection.score >= np.float32(drawn.thresholds[detection.keyword])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_do_not_outlive_the_smoothing(value: float) -> None:
    rows = [SILENCE] * 3 + [[0, 0, value, 0]] + [SILENCE] * 12 + [GO] * 4
    assert words(rows)[-1:] == ["go"]
