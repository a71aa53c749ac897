"""Scores that are kept, and what detector settings make of them."""

from dataclasses import replace as changed

import numpy as np
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kwsd import Detection, Spotter, load_model
from kwsd.bundle import DetectorSettings
from kwsd.cli.demo import FOLDER
from kwsd.detector import Detector
from kwsd.scoring import Scored, replay, score

MODEL = load_model()
MODEL.set_thresholds(dict.fromkeys(MODEL.keywords, 0.3))
SAMPLES, _ = soundfile.read(FOLDER / "demo.flac", dtype="float32")
LABELS = ("_unknown_", "no", "yes")
HOP = 1280


def spotted(samples: np.ndarray) -> list[Detection]:
    spotter = Spotter(MODEL)
    return spotter.feed(samples) + spotter.flush()


def test_a_replay_of_kept_scores_finds_what_the_spotter_finds() -> None:
    found = replay(score(MODEL, [SAMPLES]), MODEL.detector)
    assert found
    assert found == spotted(SAMPLES)


def test_recordings_follow_one_another_and_each_is_scored_from_its_own_start() -> None:
    alone, both = score(MODEL, [SAMPLES]), score(MODEL, [SAMPLES, SAMPLES])
    assert both.seconds == 2 * alone.seconds == 2 * len(SAMPLES) / 16_000
    np.testing.assert_array_equal(both.scores, np.concatenate([alone.scores, alone.scores]))
    second = int(both.starts[1])
    assert both.locate(second + 100) == (1, 100)
    assert both.locate(second) == (0, second)


@settings(max_examples=200, deadline=None)
@given(
    scores=arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(0, 1, width=32)),
    no=st.floats(0.05, 1),
    yes=st.floats(0.05, 1),
    windows=st.integers(1, 9),
    hits=st.integers(1, 5),
    refractory_s=st.sampled_from([0.0, 0.2, 0.75]),
    rearm=st.sampled_from([0.3, 0.6, 1.0]),
)
def test_a_replay_equals_the_detector_window_by_window(  # noqa: PLR0913, PLR0917  one argument a setting
    scores: np.ndarray, no: float, yes: float, windows: int, hits: int, refractory_s: float, rearm: float
) -> None:
    chosen = DetectorSettings({"no": no, "yes": yes}, windows, hits, refractory_s, rearm)
    ends = HOP * np.arange(1, len(scores) + 1)
    detector = Detector(LABELS, chosen)
    expected = [
        found
        for row, end in zip(scores, ends, strict=True)
        if (found := detector.update(lambda _age, row=row: row, int(end), attentive=True))
    ]
    scored = Scored(LABELS, scores, ends, np.array([0]), len(scores) * HOP / 16_000)
    assert replay(scored, chosen) == expected


def test_a_replay_goes_on_from_one_recording_to_the_next() -> None:
    kept = score(MODEL, [SAMPLES, SAMPLES])
    first = replay(
        changed(kept, scores=kept.scores[: len(kept.scores) // 2], ends=kept.ends[: len(kept.ends) // 2]),
        MODEL.detector,
    )
    assert replay(kept, MODEL.detector)[: len(first)] == first
