"""Levels of sounds whose level is known."""

import numpy as np
import pytest

from kwsd.frontend import spectrogram
from kwsd.levels import BAND_COUNT, FLOOR_DB, bands_db, peak_db, rms_db


def sine(frequency: float, amplitude: float) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(1600) / 16_000)).astype(np.float32)


@pytest.mark.parametrize(("amplitude", "peak"), [(1, 0), (0.5, -6.02), (0.01, -40)])
def test_a_sine_has_its_peak_and_a_mean_three_decibels_below(amplitude: float, peak: float) -> None:
    samples = sine(1000, amplitude)
    assert peak_db(samples) == pytest.approx(peak, abs=0.01)
    assert rms_db(samples) == pytest.approx(peak - 3.01, abs=0.01)


def test_digital_silence_is_at_the_floor_and_what_clips_at_full_scale() -> None:
    assert rms_db(np.zeros(10, np.float32)) == peak_db(np.zeros(10, np.float32)) == FLOOR_DB
    assert rms_db(np.full(10, 1.5, np.float32)) == 0
    assert bands_db(np.zeros((10, 129), np.float32)) == [FLOOR_DB] * BAND_COUNT


@pytest.mark.parametrize(("frequency", "band"), [(125, 0), (1000, 3), (1125, 4), (7937.5, 31)])
def test_a_sine_is_loudest_in_the_band_of_its_frequency(frequency: float, band: int) -> None:
    levels = bands_db(spectrogram(sine(frequency, 0.1)))
    assert levels[band] == max(levels) == -20
    assert sum(level > -40 for level in levels) <= 2
