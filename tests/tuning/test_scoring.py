"""Kept scores of recordings, and the detections that detector settings find in them."""

from collections.abc import Callable

import numpy as np
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kwsd import Detection, Spotter, load_model
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.models.bundle import DetectorSettings
from kwsd.pipeline.lazy import LazyDetector
from kwsd.tuning.scoring import RecordingScores, replay_detector, score_recordings

MODEL = load_model()
MODEL = MODEL.with_thresholds(dict.fromkeys(MODEL.keywords, 0.3))
SAMPLES, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
LABELS = ("_unknown_", "no", "yes")
HOP = 1280


def spotted(samples: np.ndarray) -> list[Detection]:
    spotter = Spotter(MODEL)
    return spotter.feed(samples) + spotter.flush()


def always(answer: np.ndarray) -> Callable[[int], np.ndarray]:
    """Scores for a detector that asks only for those of the newest window."""
    return lambda _age: answer


def test_a_replay_finds_what_the_spotter_finds() -> None:
    found = replay_detector(score_recordings(MODEL, [SAMPLES]), MODEL.detector)
    assert found
    assert found == spotted(SAMPLES)


def test_a_replay_of_short_recordings_finds_what_a_new_spotter_finds_in_each() -> None:
    # Each ends within the refractory period, with its keyword disarmed.
    end = spotted(SAMPLES)[0].sample
    word = SAMPLES[end - 6400 : end]
    kept = score_recordings(MODEL, [word] * 6)
    found = [kept.locate(detection.sample) for detection in replay_detector(kept, MODEL.detector)]
    assert found == [(number, detection.sample) for number in range(6) for detection in spotted(word)]
    assert len(found) == 6


def test_recordings_follow_one_another_and_each_is_scored_from_its_own_start() -> None:
    alone, both = score_recordings(MODEL, [SAMPLES]), score_recordings(MODEL, [SAMPLES, SAMPLES])
    assert both.seconds == 2 * alone.seconds == 2 * len(SAMPLES) / 16_000
    np.testing.assert_array_equal(both.scores, np.concatenate([alone.scores, alone.scores]))
    second = int(both.starts[1])
    assert both.locate(second + 100) == (1, 100)
    assert both.locate(second) == (0, second)


@settings(max_examples=200, deadline=None)
@given(
    scores=arrays(np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(0, 1, width=32)),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    no=st.floats(0.05, 1),
    yes=st.floats(0.05, 1),
    windows=st.integers(1, 9),
    hits=st.integers(1, 5),
    refractory_s=st.sampled_from([0.0, 0.2, 0.75]),
    rearm=st.sampled_from([0.3, 0.6, 1.0]),
)
def test_a_replay_equals_a_new_detector_for_each_recording_window_by_window(  # noqa: PLR0913, PLR0917  one a setting
    scores: np.ndarray,
    cuts: list[int],
    no: float,
    yes: float,
    windows: int,
    hits: int,
    refractory_s: float,
    rearm: float,
) -> None:
    chosen = DetectorSettings({"no": no, "yes": yes}, windows, hits, refractory_s, rearm)
    ends = HOP * np.arange(1, len(scores) + 1)
    firsts = sorted([0, *(cut for cut in cuts if cut < len(scores))])  # those of recordings without a window, too
    expected = []
    for row, (answer, end) in enumerate(zip(scores, ends, strict=True)):
        if row in firsts:
            detector = LazyDetector(LABELS, chosen)
        if found := detector.update(always(answer), int(end), attentive=True):
            expected.append(found)
    scored = RecordingScores(LABELS, scores, ends, HOP * np.array(firsts), len(scores) * HOP / 16_000)
    assert replay_detector(scored, chosen) == expected
