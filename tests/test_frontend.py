"""The front end without TensorFlow. A test in tests/train compares it with TensorFlow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import frontend
from kwsd.frontend import spectrogram


def test_a_window_has_124_frames_of_129_bins() -> None:
    assert spectrogram(np.zeros((2, 16_000), np.float32)).shape == (2, frontend.FRAMES, frontend.BINS) == (2, 124, 129)


def test_the_result_is_float32() -> None:
    assert spectrogram(np.zeros(16_000, np.float32)).dtype == np.float32


def test_a_full_scale_tone_has_half_the_taper_in_its_bin() -> None:
    tone = np.cos(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    frames = spectrogram(tone)
    assert frames.argmax(axis=1).tolist() == [16] * 124
    np.testing.assert_allclose(frames[:, 16], frontend.HANN.sum() / 2, rtol=1e-3)


def test_the_taper_is_symmetric() -> None:
    np.testing.assert_array_equal(frontend.HANN, frontend.HANN[::-1])
    assert frontend.HANN[0] == 0


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), first=st.integers(0, 100), frames=st.integers(1, 40))
def test_a_frame_is_the_same_computed_alone_or_with_others(seed: int, first: int, frames: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, 32_000).astype(np.float32)
    start = first * frontend.FRAME_STEP
    part = spectrogram(samples[start : start + frontend.FRAME_LENGTH + (frames - 1) * frontend.FRAME_STEP])
    np.testing.assert_allclose(part, spectrogram(samples)[first : first + frames], atol=1e-6, rtol=0)


def test_fewer_samples_than_a_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="254 samples are fewer than the 255 of a frame"):
        spectrogram(np.zeros(254, np.float32))
