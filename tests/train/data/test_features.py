"""The front end equals TensorFlow's, sample by sample and on real words."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.frontend import Float32, spectrogram

GOLDEN = Path(__file__).parents[2] / "data" / "stft.npz"
"""4,000 samples from 0.3 s on of three words of the fixtures, and their spectrograms by TensorFlow 2.21."""


def tensorflow_s(samples: Float32) -> Float32:
    magnitudes: Float32 = tf.abs(tf.signal.stft(samples, frame_length=255, frame_step=128)).numpy()
    return magnitudes


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(255, 20_000),
    level=st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0]),
)
def test_any_samples_have_tensorflow_s_spectrogram(seed: int, length: int, level: float) -> None:
    samples = np.random.default_rng(seed).uniform(-level, level, length).astype(np.float32)
    np.testing.assert_allclose(spectrogram(samples), tensorflow_s(samples), rtol=0, atol=2e-5 * level)


def test_real_words_have_the_spectrogram_that_tensorflow_once_gave() -> None:
    golden = np.load(GOLDEN)
    for samples, expected in zip(golden["samples"], golden["spectrograms"], strict=True):
        np.testing.assert_allclose(spectrogram(samples), expected, rtol=0, atol=6e-6)


def test_a_batch_has_the_spectrograms_of_its_windows() -> None:
    windows = np.random.default_rng(0).uniform(-1, 1, (3, 16_000)).astype(np.float32)
    np.testing.assert_allclose(spectrogram(windows), tensorflow_s(windows), rtol=0, atol=2e-5)
