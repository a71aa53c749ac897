"""The detector, on scores written by hand and drawn by hypothesis; the sample index is its only clock."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kwsd.frontend import SAMPLE_RATE
from kwsd.models.bundle import DetectorSettings
from kwsd.pipeline.detector import Detection, Detector

HOP = 1280
LABELS = ("_silence_", "_unknown_", "go", "stop")
SETTINGS = DetectorSettings({"go": 0.8, "stop": 0.6}, smoothing_windows=2, hits=2, refractory_s=0.75, rearm=0.5)
RAW = msgspec.structs.replace(SETTINGS, smoothing_windows=1, hits=1)

SILENCE = [1, 0, 0, 0]
UNKNOWN = [0, 1, 0, 0]
GO = [0, 0, 1, 0]
STOP = [0, 0, 0, 1]


def detect(rows: list[list[float]] | np.ndarray, settings: DetectorSettings = SETTINGS) -> list[Detection]:
    return follow(Detector(LABELS, settings), rows, HOP)


def follow(
    detector: Detector, rows: list[list[float]] | np.ndarray, start: int, *, attentive: bool = False
) -> list[Detection]:
    """Detections in windows with these scores; the first one ends at the sample `start`."""
    shown = Shown(rows)
    found = [detector.update(shown.at(now), start + HOP * now, attentive=attentive) for now in range(len(shown.scores))]
    return [detection for detection in found if detection]


class Shown:
    """Scores of windows, of which a detector may ask for each once, and for none before the first.

    Attributes
    ----------
    asked : list of int
        Windows that were asked for.
    """

    def __init__(self, rows: list[list[float]] | np.ndarray) -> None:
        self.scores = np.asarray(rows, np.float32)
        self.asked: list[int] = []

    def at(self, now: int) -> Callable[[int], np.ndarray]:
        """Scores by age, at a window."""

        def scores(age: int) -> np.ndarray:
            assert 0 <= age <= now
            assert now - age not in self.asked
            self.asked.append(now - age)
            return self.scores[now - age]

        return scores


def words(rows: list[list[float]], settings: DetectorSettings = SETTINGS) -> list[str]:
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
    detector = Detector(("go", "stop"), SETTINGS)
    assert follow(detector, [[0.7, 0.3]] * 20, HOP) == []
    assert detector.smoothed.tolist() == pytest.approx([0.7, 0.3])


def test_the_mean_of_the_smoothing_windows_decides() -> None:
    alternating = [[0, 0, 1, 0], [0, 0.5, 0.5, 0]] * 20
    assert words(alternating, msgspec.structs.replace(SETTINGS, smoothing_windows=1)) == []
    assert words(alternating, msgspec.structs.replace(SETTINGS, thresholds={"go": 0.7, "stop": 0.7})) == ["go"]


@pytest.mark.parametrize(("hole", "windows"), [(UNKNOWN, 9), ([0, 0.9, 0.1, 0], 9), ([0, 0.8, 0.2, 0], 6)])
def test_a_window_that_hardly_shows_the_word_is_made_up_for_only_as_the_oldest(hole: list[float], windows: int) -> None:
    (detection,) = detect([GO] * 3 + [hole] + [GO] * 5, msgspec.structs.replace(RAW, smoothing_windows=6))
    assert detection.sample == windows * HOP


@pytest.mark.parametrize("before", range(5, 12))
def test_a_lower_threshold_counts_from_the_next_window_on(before: int) -> None:
    detector = Detector(LABELS, msgspec.structs.replace(RAW, smoothing_windows=5, thresholds={"go": 0.9, "stop": 0.9}))
    rows = [[0, 0.3, 0.7, 0]] * before
    assert follow(detector, rows, HOP) == []
    detector.set_thresholds({"go": 0.6, "stop": 0.9})
    scores = np.array(rows[0], np.float32)
    assert detector.update(lambda _age: scores, HOP * (before + 1)) is not None


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
    detector = Detector(LABELS, RAW)
    assert follow(detector, [GO], HOP)
    detector.reset()
    assert not follow(detector, [GO], 2 * HOP)
    assert follow(detector, [GO], 12 * HOP)


def test_a_model_without_reserved_labels_needs_no_silence_to_be_armed_again() -> None:
    detector = Detector(("go", "stop"), msgspec.structs.replace(RAW, thresholds={"go": 0.8, "stop": 0.8}))
    rows = [[1, 0]] * 3 + [[0.5, 0.5]] * 9 + [[1, 0]] * 3
    assert len(follow(detector, rows, 0)) == 1
    rows = [[1, 0]] * 3 + [[0.1, 0.9]] * 12 + [[1, 0]] * 12
    assert [detection.keyword for detection in follow(detector, rows, 100 * HOP)] == ["stop", "go"]


scores = arrays(np.float32, st.tuples(st.integers(1, 80), st.just(4)), elements=st.floats(0, 1, width=32))
settings = st.builds(
    DetectorSettings,
    thresholds=st.fixed_dictionaries({"go": st.floats(0.05, 1), "stop": st.floats(0.05, 1)}),
    smoothing_windows=st.integers(1, 8),
    hits=st.integers(1, 5),
    refractory_s=st.floats(0, 3),
    rearm=st.floats(0.1, 1),
)


@given(rows=scores, drawn=settings)
def test_two_detections_are_never_within_the_refractory_period(rows: np.ndarray, drawn: DetectorSettings) -> None:
    samples = [detection.sample for detection in detect(rows, drawn)]
    assert all(gap >= round(drawn.refractory_s * SAMPLE_RATE) for gap in np.diff(samples))


@given(rows=scores, drawn=settings)
def test_silence_and_unknown_words_never_fire(rows: np.ndarray, drawn: DetectorSettings) -> None:
    rows = rows * np.array([1, 1, 0, 0], np.float32)
    assert detect(rows, drawn) == []


@given(rows=scores, drawn=settings)
def test_every_detection_has_reached_its_threshold(rows: np.ndarray, drawn: DetectorSettings) -> None:
    for detection in detect(rows, drawn):
        assert detection.score >= np.float32(drawn.thresholds[detection.keyword])


levels = st.sampled_from([0.0, 0.2, 0.5, 0.7, 0.9, 1.0])


@given(runs=st.lists(st.tuples(levels, levels, st.integers(1, 9)), max_size=25), drawn=settings)
def test_windows_that_are_not_scored_change_no_detection(
    runs: list[tuple[float, float, int]], drawn: DetectorSettings
) -> None:
    rows = [[0, 0, go, stop] for go, stop, length in runs for _ in range(length)]
    assert detect(rows, drawn) == follow(Detector(LABELS, drawn), rows, HOP, attentive=True)


@given(rows=scores, drawn=settings)
def test_nor_do_they_where_scores_change_from_window_to_window(rows: np.ndarray, drawn: DetectorSettings) -> None:
    assert detect(rows, drawn) == follow(Detector(LABELS, drawn), rows, HOP, attentive=True)


@pytest.mark.parametrize(
    ("windows", "threshold", "scored"),
    [(5, 0.88, 20), (5, 0.5, 100 // 3), (6, 0.75, 20), (6, 0.1, 100), (2, 0.9, 50), (2, 0.5, 100), (1, 0.5, 100)],
)
def test_far_from_any_word_as_few_windows_are_scored_as_the_settings_allow(
    windows: int, threshold: float, scored: int
) -> None:
    drawn = DetectorSettings(dict.fromkeys(("go", "stop"), threshold), smoothing_windows=windows)
    detector, shown = Detector(LABELS, drawn), Shown([UNKNOWN] * 100)
    for now in range(100):
        detector.update(shown.at(now), HOP * (now + 1))
    assert len(shown.asked) == pytest.approx(scored, abs=1)


@given(rows=scores, drawn=settings)
def test_calm_windows_bring_no_detection(rows: np.ndarray, drawn: DetectorSettings) -> None:
    detector, attentive, calm_until = Detector(LABELS, drawn), Detector(LABELS, drawn), -1
    shown, all_shown = Shown(rows), Shown(rows)
    for now in range(len(rows)):
        detector.update(shown.at(now), HOP * now)
        detected = attentive.update(all_shown.at(now), HOP * now, attentive=True)
        assert not (detected and now <= calm_until)
        calm_until = now + detector.calm_windows


changes = st.dictionaries(st.integers(0, 80), st.sampled_from(["attentive", "reset", 0.5, 1.0]), max_size=12)
"""At which window a detector becomes attentive or stops being it, is reset, or gets these shares of its thresholds."""


@given(runs=st.lists(st.tuples(levels, levels, st.integers(1, 9)), max_size=20), drawn=settings, changes=changes)
def test_nor_do_they_when_a_detector_is_changed_in_mid_stream(
    runs: list[tuple[float, float, int]], drawn: DetectorSettings, changes: dict[int, str | float]
) -> None:
    rows = [[0, 0, go, stop] for go, stop, length in runs for _ in range(length)]
    detectors, looking = [Detector(LABELS, drawn), Detector(LABELS, drawn)], False
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


@pytest.mark.parametrize(
    ("windows", "threshold", "calm"),
    [(6, 0.75, 4), (6, 0.9, 5), (6, 0.5, 2), (6, 0.1, 0), (2, 0.5, 0), (2, 0.6, 1), (1, 0.5, 0)],
)
def test_after_silence_as_many_windows_are_calm_as_cannot_make_up_for_it(
    windows: int, threshold: float, calm: int
) -> None:
    drawn = DetectorSettings(dict.fromkeys(("go", "stop"), threshold), smoothing_windows=windows)
    assert Detector(LABELS, drawn).calm_windows == calm


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_do_not_outlive_the_smoothing(value: float) -> None:
    rows = [SILENCE] * 3 + [[0, 0, value, 0]] + [SILENCE] * 12 + [GO] * 4
    assert words(rows)[-1:] == ["go"]
