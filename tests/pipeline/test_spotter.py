"""The whole pipeline, with the shipped model on the bundled recording."""

import dataclasses

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import Detection, Spotter, load_model
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.errors import ModelError
from kwsd.frontend import Float32, spectrogram
from kwsd.models.model import Model, Window

SAMPLES, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
MODEL = load_model()


def detections(blocks: list[np.ndarray]) -> list[Detection]:
    spotter = Spotter(MODEL)
    return [found for block in blocks for found in spotter.feed(block)] + spotter.flush()


BEGINNING = SAMPLES[: 8 * 16_000]
WHOLE = detections([BEGINNING])
"""Detections in the first words of the recording, which arrive as one block."""


def test_words_of_the_recording_are_heard() -> None:
    assert len(detections([SAMPLES])) >= 5


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, len(BEGINNING)), max_size=60))
def test_any_split_into_blocks_gives_exactly_the_same_detections(cuts: list[int]) -> None:
    found = detections(np.split(BEGINNING, sorted(cuts)))
    assert found == WHOLE != []


def test_a_threshold_that_is_set_in_mid_word_holds_and_nothing_is_forgotten() -> None:
    heard = detections([SAMPLES])
    model = load_model()
    spotter, unchanged, found = Spotter(model), model.detector.thresholds["go"], []
    for block in np.array_split(SAMPLES, 400):
        found += spotter.feed(block)
        spotter.set_thresholds({"go": unchanged})
    assert found + spotter.flush() == heard
    spotter.reset()
    spotter.set_thresholds({"go": 1})
    words = [detection.keyword for detection in spotter.feed(SAMPLES) + spotter.flush()]
    assert words == [detection.keyword for detection in heard if detection.keyword != "go"]


def test_thresholds_of_one_spotter_are_not_those_of_another() -> None:
    first, second = Spotter(MODEL), Spotter(MODEL)
    first.set_thresholds({"go": 0.99})
    assert first.thresholds["go"] == 0.99
    assert second.thresholds == Spotter(MODEL).thresholds == MODEL.detector.thresholds
    assert second.feed(SAMPLES) + second.flush() == detections([SAMPLES])


def test_a_threshold_for_an_unknown_word_is_refused_and_changes_nothing() -> None:
    spotter = Spotter(MODEL)
    with pytest.raises(ModelError, match="has no keyword 'house'"):
        spotter.set_thresholds({"go": 0.5, "house": 0.5})
    assert spotter.thresholds == MODEL.detector.thresholds


class Recorder:
    """A network that keeps the windows it is shown, and takes some of them for words."""

    def __init__(self, share_of_words: float = 0) -> None:
        self.windows: list[Window] = []
        self._drawn = np.random.default_rng(0)
        self._share_of_words = share_of_words

    def scores(self, window: Window) -> Float32:
        self.windows.append(Window(window.samples.copy(), window.spectrogram.copy()))
        scores = np.zeros(len(MODEL.labels), np.float32)
        scores[MODEL.labels.index("go")] = self._drawn.random() < self._share_of_words
        return scores

    def model(self, hop: int = 1280) -> Model:
        return dataclasses.replace(MODEL, hop_samples=hop, network=self)


@pytest.mark.parametrize("hop", [128, 1280, 3200, 16_000])
def test_every_streamed_window_equals_the_same_window_computed_at_once(hop: int) -> None:
    network = Recorder()
    stream = SAMPLES[: 16_000 * 3]
    Spotter(network.model(hop), attentive=True).feed(stream)
    assert len(network.windows) == len(stream) // hop
    padded = np.concatenate([np.zeros(16_000, np.float32), stream])
    for number, window in enumerate(network.windows, 1):
        expected = padded[number * hop : number * hop + 16_000]
        np.testing.assert_array_equal(window.samples, expected)
        np.testing.assert_allclose(window.spectrogram, spectrogram(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize("block", [700, 1280, 5 * 1280])
def test_a_window_that_is_scored_after_later_ones_is_the_same_window(block: int) -> None:
    network, stream = Recorder(share_of_words=0.8), SAMPLES[: 16_000 * 6]
    spotter = Spotter(network.model())
    for start in range(0, len(stream), block):
        spotter.feed(stream[start : start + block])
    padded = np.concatenate([np.zeros(16_000, np.float32), stream])
    ends = {padded[end - 16_000 : end].tobytes(): end for end in range(16_000 + 1280, len(padded) + 1, 1280)}
    order = [ends[window.samples.tobytes()] for window in network.windows]
    assert len(set(order)) == len(order) < len(ends)
    assert order != sorted(order)
    for end, window in zip(order, network.windows, strict=True):
        np.testing.assert_allclose(window.spectrogram, spectrogram(padded[end - 16_000 : end]), atol=1e-6, rtol=0)


def test_recordings_have_the_same_detections_when_every_window_is_scored() -> None:
    spotter = Spotter(MODEL, attentive=True)
    assert spotter.feed(SAMPLES) + spotter.flush() == detections([SAMPLES])


@pytest.mark.parametrize("size", [400, 1280, 3000])
def test_no_detection_ends_in_calm_samples(size: int) -> None:
    spotter, attentive, calm_until, calm = Spotter(MODEL), Spotter(MODEL, attentive=True), 0, 0
    for start in range(0, len(SAMPLES), size):
        spotter.feed(SAMPLES[start : start + size])
        found = attentive.feed(SAMPLES[start : start + size])
        assert all(detection.sample > calm_until for detection in found)
        calm_until = spotter.sample + spotter.calm_samples
        calm += spotter.calm_samples >= MODEL.hop_samples
    assert calm
    assert Spotter(MODEL, attentive=True).calm_samples == 0


def test_zeros_that_are_skipped_change_nothing_once_the_memory_is_full_of_them() -> None:
    zeros = np.zeros(80_123, np.float32)  # not a whole number of hops
    spotter = Spotter(load_model())
    kept = round(spotter.memory_s * 16_000)
    found = spotter.feed(np.concatenate([SAMPLES, zeros[:kept]]))
    for block in np.array_split(zeros[kept:], 7):
        spotter.skip(block)
    found += spotter.feed(SAMPLES) + spotter.flush()
    assert found == detections([SAMPLES, zeros, SAMPLES])


def test_after_a_reset_nothing_of_the_audio_before_it_is_left() -> None:
    network = Recorder()
    spotter = Spotter(network.model(), attentive=True)
    spotter.feed(SAMPLES[:20_000])
    spotter.reset()
    spotter.feed(np.zeros(1280, np.float32))
    assert not network.windows[-1].samples.any()
    assert not network.windows[-1].spectrogram.any()


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(80_000, np.float32),
        np.full(80_000, 0.5, np.float32),
        np.random.default_rng(0).choice([-1, 1], 80_000).astype(np.float32),
        np.clip(np.random.default_rng(0).normal(0, 0.3, 80_000), -0.2, 0.2).astype(np.float32),
        np.random.default_rng(0).normal(0.4, 1e-3, 80_000).astype(np.float32),
        np.random.default_rng(0).normal(0, 100, 80_000).astype(np.float32),
        np.full(80_000, np.nan, np.float32),
        np.full(80_000, np.inf, np.float32),
    ],
    ids=[
        "silence",
        "constant",
        "full-scale noise",
        "clipped noise",
        "noise with an offset",
        "out of range",
        "not a number",
        "infinite",
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_no_speech_is_no_keyword(samples: np.ndarray) -> None:
    assert detections([samples]) == []
