"""Vectors of a stream, with the shipped network on the bundled recording."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import Embedding
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.frontend import Float32
from kwsd.models.find import load_embedding
from kwsd.pipeline.embedding import CAUGHT_UP, STEP_SAMPLES, WINDOW_SAMPLES

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "embedding.npz")
SAMPLES, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32", frames=6 * 16_000)
NETWORK = load_embedding()
WHOLE = Embedding(NETWORK).feed(SAMPLES)


def cosines(first: Float32, second: Float32) -> Float32:
    lengths: Float32 = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine: Float32 = np.sum(first * second, axis=-1) / lengths
    return cosine


def test_every_80_ms_complete_a_vector() -> None:
    embedding = Embedding()
    assert embedding.feed(SAMPLES[:1279]).shape == (0, 96)
    assert embedding.feed(SAMPLES[1279:1280]).shape == (1, 96)
    assert embedding.feed(SAMPLES[1280:]).shape == (74, 96)
    assert embedding.sample == len(SAMPLES)
    assert WHOLE.dtype == np.float32


def test_vectors_point_in_the_direction_of_those_of_the_original() -> None:
    expected = GOLDEN["vectors"]
    # The first vector of the original is number 9: it ends at sample 12,800.
    assert cosines(WHOLE[9 : 9 + len(expected)], expected).min() > 0.99


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, len(SAMPLES)), max_size=60))
def test_any_split_into_blocks_has_exactly_the_same_vectors(cuts: list[int]) -> None:
    embedding = Embedding(NETWORK)
    vectors = [embedding.feed(block) for block in np.split(SAMPLES, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(vectors), WHOLE)


@settings(max_examples=30)
@given(
    blocks=st.lists(st.tuples(st.integers(0, len(SAMPLES)), st.booleans()), max_size=20),
)
def test_vectors_after_skipped_audio_are_those_of_a_stream_without_skipped_audio(
    blocks: list[tuple[int, bool]],
) -> None:
    embedding = Embedding(NETWORK)
    start = known = 0
    for end, skipped in sorted(blocks):
        block, start = SAMPLES[start:end], end
        if skipped:
            embedding.skip(block)
            continue
        vectors = embedding.feed(block)
        complete = end // STEP_SAMPLES
        np.testing.assert_array_equal(vectors, WHOLE[complete - len(vectors) : complete])
        assert len(vectors) >= min(complete - known, CAUGHT_UP)
        known = complete


def test_a_stream_begins_as_if_digital_silence_came_before_it() -> None:
    embedding = Embedding(NETWORK)
    silent = embedding.feed(np.zeros(16_000 * 2 - 16_000 * 2 % STEP_SAMPLES, np.float32))
    assert np.ptp(silent, axis=0).max() == 0
    np.testing.assert_array_equal(embedding.feed(SAMPLES), WHOLE)


def test_a_reset_forgets_the_audio_and_the_count() -> None:
    embedding = Embedding(NETWORK)
    embedding.feed(SAMPLES[:20_000])
    embedding.skip(SAMPLES[:50_001])
    embedding.reset()
    assert embedding.sample == 0
    np.testing.assert_array_equal(embedding.feed(SAMPLES), WHOLE)


def test_a_vector_covers_the_12_400_samples_before_its_end() -> None:
    end = 40 * STEP_SAMPLES
    for first, same in ((end - WINDOW_SAMPLES, True), (end - WINDOW_SAMPLES // 2, False)):
        other = SAMPLES[:end].copy()
        other[:first] = SAMPLES[-first:]
        cosine = cosines(Embedding(NETWORK).feed(other)[-1], WHOLE[39])
        assert (cosine > 0.99) == same


def test_recordings_of_a_word_are_more_alike_than_recordings_of_two_words(clips: Path) -> None:
    def embed(path: Path) -> Float32:
        samples, _ = soundfile.read(path, dtype="float32")
        embedding = Embedding(NETWORK)
        loudest: Float32 = embedding.feed(np.concatenate([samples, np.zeros(8000, np.float32)])).max(axis=0)
        return loudest

    words = {word: [embed(path) for path in sorted((clips / word).glob("*.flac"))] for word in ("happy", "stop")}
    alike = [cosines(group[0], other) for group in words.values() for other in group[1:]]
    unlike = [cosines(first, second) for first in words["happy"] for second in words["stop"]]
    assert np.mean(alike) > np.mean(unlike) + 0.02


def test_memory_does_not_grow_with_the_stream() -> None:
    embedding = Embedding(NETWORK)
    embedding.feed(SAMPLES)
    tracemalloc.start()
    try:
        embedding.skip(np.zeros(16_000 * 60, np.float32))
        embedding.feed(SAMPLES)
        embedding.skip(SAMPLES)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_values_outside_the_range_are_clipped_and_not_a_number_becomes_silence() -> None:
    loud = SAMPLES * 50
    strange = np.where(np.arange(len(SAMPLES)) % 100, SAMPLES, np.nan).astype(np.float32)
    np.testing.assert_array_equal(Embedding(NETWORK).feed(loud), Embedding(NETWORK).feed(loud.clip(-1, 1)))
    np.testing.assert_array_equal(Embedding(NETWORK).feed(strange), Embedding(NETWORK).feed(np.nan_to_num(strange)))


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 10), np.float32), np.zeros(10), np.zeros(10, np.int16)], ids=["shape", "float64", "int16"]
)
def test_samples_of_another_shape_or_type_are_refused(samples: Float32) -> None:
    embedding = Embedding(NETWORK)
    for take in (embedding.feed, embedding.skip):
        with pytest.raises(ValueError, match=r"not float32 \(n,\)"):
            take(samples)
    assert embedding.sample == 0
