"""Scoring as few windows as the detector needs changes no detection."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from helpers.scores import random_scores, random_settings
from hypothesis import given
from hypothesis import strategies as st

from kwsd.frontend import Float32
from kwsd.models.bundle import DetectorSettings
from kwsd.pipeline.detector import Detection, Detector, evidence, keyword_columns
from kwsd.pipeline.lazy import LazyDetector

Rows = Sequence[Sequence[float]] | Float32

HOP = 1280
LABELS = ("_silence_", "_unknown_", "go", "stop")
UNKNOWN = [0, 1, 0, 0]


class Shown:
    """Scores of windows, of which a detector may ask for each once, and for none before the first.

    Attributes
    ----------
    asked : list of int
        Windows that were asked for.
    """

    def __init__(self, rows: Rows) -> None:
        self.scores = np.asarray(rows, np.float32)
        self.asked: list[int] = []

    def at(self, now: int) -> Callable[[int], Float32]:
        """Scores by age, at a window."""

        def scores(age: int) -> Float32:
            assert 0 <= age <= now
            assert now - age not in self.asked
            self.asked.append(now - age)
            row: Float32 = self.scores[now - age]
            return row

        return scores


def lazy_detections(rows: Rows, settings: DetectorSettings, *, attentive: bool = False) -> list[Detection]:
    detector, shown = LazyDetector(LABELS, settings), Shown(rows)
    found = [detector.update(shown.at(now), HOP * (now + 1), attentive=attentive) for now in range(len(shown.scores))]
    return [detection for detection in found if detection]


def rule_detections(rows: Rows, settings: DetectorSettings) -> list[Detection]:
    """Detections of the plain rule, with all scores known."""
    detector, columns = Detector(LABELS, settings), keyword_columns(LABELS)
    recent, found = np.zeros((settings.smoothing_windows, 2), np.float32), []
    for number, scores in enumerate(np.asarray(rows, np.float32), 1):
        recent = np.vstack([recent[1:], evidence(scores, columns)])
        found.append(detector.decide(detector.judge(recent), HOP * number))
    return [detection for detection in found if detection]


levels = st.sampled_from([0.0, 0.2, 0.5, 0.7, 0.9, 1.0])


@given(runs=st.lists(st.tuples(levels, levels, st.integers(1, 9)), max_size=25), drawn=random_settings)
def test_windows_that_are_not_scored_change_no_detection(
    runs: list[tuple[float, float, int]], drawn: DetectorSettings
) -> None:
    rows = [[0, 0, go, stop] for go, stop, length in runs for _ in range(length)]
    assert lazy_detections(rows, drawn) == rule_detections(rows, drawn)
    assert lazy_detections(rows, drawn, attentive=True) == rule_detections(rows, drawn)


@given(rows=random_scores, drawn=random_settings)
def test_nor_do_they_where_scores_change_from_window_to_window(rows: np.ndarray, drawn: DetectorSettings) -> None:
    assert lazy_detections(rows, drawn) == rule_detections(rows, drawn)
    assert lazy_detections(rows, drawn, attentive=True) == rule_detections(rows, drawn)


@pytest.mark.parametrize(
    ("windows", "threshold", "scored"),
    [(5, 0.88, 20), (5, 0.5, 100 // 3), (6, 0.75, 20), (6, 0.1, 100), (2, 0.9, 50), (2, 0.5, 100), (1, 0.5, 100)],
)
def test_far_from_any_word_as_few_windows_are_scored_as_the_settings_allow(
    windows: int, threshold: float, scored: int
) -> None:
    drawn = DetectorSettings(dict.fromkeys(("go", "stop"), threshold), smoothing_windows=windows)
    detector, shown = LazyDetector(LABELS, drawn), Shown([UNKNOWN] * 100)
    for now in range(100):
        detector.update(shown.at(now), HOP * (now + 1))
    assert len(shown.asked) == pytest.approx(scored, abs=1)


@given(rows=random_scores, drawn=random_settings)
def test_calm_windows_bring_no_detection(rows: np.ndarray, drawn: DetectorSettings) -> None:
    detector, attentive, calm_until = LazyDetector(LABELS, drawn), LazyDetector(LABELS, drawn), -1
    shown, all_shown = Shown(rows), Shown(rows)
    for now in range(len(rows)):
        detector.update(shown.at(now), HOP * now)
        detected = attentive.update(all_shown.at(now), HOP * now, attentive=True)
        assert not (detected and now <= calm_until)
        calm_until = now + detector.calm_windows


changes = st.dictionaries(st.integers(0, 80), st.sampled_from(["attentive", "reset", 0.5, 1.0]), max_size=12)
"""At which window a detector becomes attentive or stops being it, is reset, or gets these shares of its thresholds."""


@given(runs=st.lists(st.tuples(levels, levels, st.integers(1, 9)), max_size=20), drawn=random_settings, changes=changes)
def test_nor_do_they_when_a_detector_is_changed_in_mid_stream(
    runs: list[tuple[float, float, int]], drawn: DetectorSettings, changes: dict[int, str | float]
) -> None:
    rows = [[0, 0, go, stop] for go, stop, length in runs for _ in range(length)]
    detectors, looking = [LazyDetector(LABELS, drawn), LazyDetector(LABELS, drawn)], False
    shown = [Shown(rows), Shown(rows)]
    for now in range(len(rows)):
        change = changes.get(now)
        looking ^= change == "attentive"
        for detector in detectors:
            if change == "reset":
                detector.reset()
            elif isinstance(change, float):
                detector.set_thresholds({word: change * threshold for word, threshold in drawn.thresholds.items()})
        lazy, attentive = detectors
        found = lazy.update(shown[0].at(now), HOP * now, attentive=looking)
        assert found == attentive.update(shown[1].at(now), HOP * now, attentive=True)


@pytest.mark.parametrize("go", [[0.4, 0.5, 0.8, 1], [0.8, 0.7, 0.5, 0.4, 1]])
def test_a_window_exactly_at_the_threshold_is_judged_in_spite_of_rounding(go: list[float]) -> None:
    rows = np.array([[0, 0, score, 0] for score in go], np.float32)
    threshold = float(evidence(rows, keyword_columns(LABELS)).sum(axis=0)[0] / np.float32(len(go)))
    drawn = DetectorSettings({"go": threshold, "stop": 1}, smoothing_windows=len(go), hits=1)
    detector, shown, last = LazyDetector(LABELS, drawn), Shown(rows), len(go) - 1
    for now in range(last):
        assert not detector.update(shown.at(now), HOP * (now + 1), attentive=True)
    # All earlier scores are known, and the newest-first sum of all scores is a rounding error below the threshold.
    assert [detector.update(shown.at(last), HOP * (last + 1))] == rule_detections(rows, drawn)


@pytest.mark.parametrize(
    ("windows", "threshold", "calm"),
    [(6, 0.75, 4), (6, 0.9, 5), (6, 0.5, 2), (6, 0.1, 0), (2, 0.5, 0), (2, 0.6, 1), (1, 0.5, 0)],
)
def test_after_silence_as_many_windows_are_calm_as_cannot_make_up_for_it(
    windows: int, threshold: float, calm: int
) -> None:
    drawn = DetectorSettings(dict.fromkeys(("go", "stop"), threshold), smoothing_windows=windows)
    assert LazyDetector(LABELS, drawn).calm_windows == calm
