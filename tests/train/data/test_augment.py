"""Augmentation and the examples of an epoch."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.frontend import Float32
from kwsd.models.bundle import SILENCE_LABEL, UNKNOWN_LABEL
from kwsd_train.data.augment import OUTSIDE_SHARE, Augmenter, mix_at_snr, place_in_window, random_crop, word_span
from kwsd_train.data.dataset import load_clips, load_recordings
from kwsd_train.data.features import as_float, mel_matrix
from kwsd_train.data.layout import audio_files
from kwsd_train.data.mixture import ExampleGenerator, ExampleKind
from kwsd_train.recipe import Recipe

# audiomentations imports audioread, which imports modules that Python 3.13 removes.
pytestmark = pytest.mark.filterwarnings("ignore:.* slated for removal in Python 3.13:DeprecationWarning")


@pytest.fixture(scope="module")
def examples(data: Path, streaming: Recipe) -> ExampleGenerator:
    assert streaming.augmentation
    assert streaming.mixture
    noise, speech = (load_recordings(data / kind, ["training"]) for kind in ("noise", "speech"))
    augmenter = Augmenter(streaming.augmentation, noise, speech, audio_files(data / "rir"))
    return ExampleGenerator(
        load_clips(data).of_split("training"),
        [SILENCE_LABEL, UNKNOWN_LABEL, "no", "yes"],
        streaming.mixture,
        augmenter,
        mined=speech,
    )


def words(folder: Path) -> Float32:
    return as_float(load_clips(folder).samples)


@given(offset=st.integers(-20_000, 20_000), length=st.integers(1, 20_000))
def test_a_shift_moves_samples_and_fills_with_zeros(offset: int, length: int) -> None:
    samples = np.arange(1, length + 1, dtype=np.float32)
    moved = place_in_window(samples, offset)
    expected = [samples[i - offset] if 0 <= i - offset < length else 0 for i in (0, 1, 8000, 15_999)]
    assert [moved[i] for i in (0, 1, 8000, 15_999)] == expected


def test_a_keyword_keeps_its_energy_wherever_it_is_shifted(clips: Path, examples: ExampleGenerator) -> None:
    rng = np.random.default_rng(0)
    for clip in words(clips):
        first, last = word_span(clip, OUTSIDE_SHARE)
        voice = place_in_window(clip[first:last], first)  # 80 % of the energy, and no noise around it
        moved = examples.augmenter.shift_word(voice, rng)
        assert np.square(moved).sum() >= (1 - 2 * OUTSIDE_SHARE) * np.square(voice).sum()


def test_half_a_word_is_less_than_the_word(clips: Path, examples: ExampleGenerator) -> None:
    rng = np.random.default_rng(0)
    energies = [(np.square(examples.augmenter.cut_word(c, rng)).sum(), np.square(c).sum()) for c in words(clips)]
    assert all(0 < half < whole for half, whole in energies)


def test_glued_words_begin_as_one_word_and_end_as_another(examples: ExampleGenerator) -> None:
    first, second = np.zeros((2, 16_000), np.float32)
    first[4000:8000], second[9000:15_000] = 0.1, -0.2
    for _ in range(20):
        glued = examples.augmenter.glue_words(first, second, np.random.default_rng(0))
        heads, tails = np.flatnonzero(glued > 0), np.flatnonzero(glued < 0)
        assert 0.3 * 4000 < len(heads) < 0.7 * 4000
        assert 0.3 * 6000 < len(tails) < 0.7 * 6000
        assert tails[0] == heads[-1] + 1
        assert heads[0] + tails[-1] == pytest.approx(16_000, abs=200)  # in the middle of the window


def test_of_glued_words_one_at_most_is_a_keyword(examples: ExampleGenerator) -> None:
    plan = examples.plan_epoch(np.random.default_rng(0))
    assert set(plan.labels[plan.kinds == ExampleKind.GLUED_WORDS].tolist()) == {examples.labels.index(UNKNOWN_LABEL)}


@given(snr_db=st.floats(-10, 40), seed=st.integers(0, 1000))
def test_noise_is_mixed_at_the_ratio_asked_for(snr_db: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    signal, noise = (rng.normal(0, level, 16_000).astype(np.float32) for level in (0.1, 0.3))
    added = mix_at_snr(signal, noise, snr_db) - signal
    ratio = 10 * np.log10(np.square(signal).mean() / np.square(added).mean())
    assert ratio == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_noise_that_is_changed_is_another_noise_of_the_same_ratio(
    streaming: Recipe, data: Path, share: float
) -> None:
    assert streaming.augmentation
    quiet = {"room_share": 0, "babble_share": 0, "hiss_share": 0, "far_share": 0, "gain_db": (0, 0)}
    settings = msgspec.structs.replace(
        streaming.augmentation, **quiet, noise_share=1, snr_db=(10, 10), noise_change_share=share
    )
    tone = (np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000) / 10).astype(np.float32)
    clicks = np.zeros(16_000, np.int16)  # one second long, so that every crop of it is the whole
    clicks[::100] = 10_000
    mixed = Augmenter(settings, [clicks], [clicks], audio_files(data / "rir"))(tone, np.random.default_rng(0))
    noise = mixed - tone
    assert 10 * np.log10(np.square(tone).mean() / np.square(noise).mean()) == pytest.approx(10, abs=0.1)
    assert (np.count_nonzero(np.abs(noise) > 1e-6) == 160) == (share == 0)


def test_a_short_recording_is_a_crop_with_zeros_after_it() -> None:
    crop = random_crop([np.full(100, 16_384, np.int16)], np.random.default_rng(0))
    np.testing.assert_array_equal(crop, np.pad(np.full(100, 0.5, np.float32), (0, 15_900)))


def test_an_epoch_has_the_examples_that_the_recipe_asks_for(examples: ExampleGenerator) -> None:
    plan = examples.plan_epoch(np.random.default_rng(0))
    kinds, labels = np.bincount(plan.kinds, minlength=5), np.bincount(plan.labels, minlength=4)
    others = len(set(examples.clips.words.tolist())) - 2
    assert kinds.tolist() == [2 * 8 + others, 4, 8, 4, 4]  # words, half words, speech, silences, glued words
    assert labels.tolist() == [4, others + 4 + 8 + 4, 8, 8]  # _silence_, _unknown_, no, yes


@pytest.mark.parametrize("kind", list(ExampleKind))
def test_every_example_is_a_window_in_range(examples: ExampleGenerator, kind: ExampleKind) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        window = examples.make_window(kind, 0, rng)
        assert window.shape == (16_000,)
        assert window.dtype == np.float32
        assert np.abs(window).max() <= 1


def test_an_epoch_depends_on_its_number_and_the_seed_alone(examples: ExampleGenerator) -> None:
    def first(epoch: int, seed: int) -> Float32:
        return next(examples.batches(epoch, 8, seed))[0]

    np.testing.assert_array_equal(first(3, 0), first(3, 0))
    assert not np.array_equal(first(3, 0), first(4, 0))
    assert not np.array_equal(first(3, 0), first(3, 1))


def test_no_mel_band_is_empty_and_each_sums_to_one() -> None:
    matrix = mel_matrix(40)
    assert matrix.shape == (129, 40)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(0), 1, atol=1e-6)


def test_the_mel_bands_rise_in_frequency() -> None:
    centres = np.arange(129) @ mel_matrix(40)
    assert (np.diff(centres) > 0).all()
