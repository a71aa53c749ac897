"""The log-mel spectrogram, compared with the original front end of the embedding."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd.cli.demo import DEMO_FOLDER
from kwsd.models import logmel
from kwsd.models.logmel import compute_log_mel

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "embedding.npz")
SAMPLES, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")


def tone(frequency: float, amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(4000) / 16_000)).astype(np.float32)


def test_frames_equal_those_of_the_original() -> None:
    expected = GOLDEN["frames"]
    start = np.zeros(logmel.FRAME_LENGTH - logmel.FRAME_STEP, np.float32)
    found = compute_log_mel(np.concatenate([start, SAMPLES]))[: len(expected)]
    # The original raises low energies to 80 dB below the largest one in the recording.
    not_raised = expected > expected.min() + 1e-3
    assert not_raised.mean() > 0.9
    np.testing.assert_allclose(found[not_raised], expected[not_raised], atol=1e-4, rtol=0)


def test_the_result_is_float32_with_a_row_for_each_whole_frame() -> None:
    for samples, frames in ((400, 1), (559, 1), (560, 2), (1520, 8)):
        found = compute_log_mel(np.zeros(samples, np.float32))
        assert found.shape == (frames, 32)
        assert found.dtype == np.float32


def test_every_band_of_digital_silence_has_the_lowest_value() -> None:
    np.testing.assert_allclose(compute_log_mel(np.zeros(1520, np.float32)), logmel.SILENCE)
    assert compute_log_mel(tone(1000)).min() > logmel.SILENCE


def test_ten_times_the_amplitude_adds_two() -> None:
    np.testing.assert_allclose(compute_log_mel(tone(1000)) - compute_log_mel(tone(1000, 0.01)), 2, atol=1e-3)


@pytest.mark.parametrize(("frequency", "band"), [(120, 0), (1000, 13), (3600, 31)])
def test_a_tone_is_loudest_in_the_band_of_its_frequency(frequency: float, band: int) -> None:
    assert set(compute_log_mel(tone(frequency)).argmax(axis=1)) == {band}


def test_fewer_samples_than_a_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="399 samples are fewer than the 400 of a frame"):
        compute_log_mel(np.zeros(399, np.float32))
