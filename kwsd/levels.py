"""Levels in decibels, for people: of samples, and of bands of the spectrogram."""

import math

import numpy as np

from kwsd.frontend import HANN, Float32

FLOOR_DB = -120.0
"""What digital silence counts as: 20 dB below the last bit of 16."""

BAND_COUNT = 32
"""Bands of 250 Hz, four bins each: enough to see speech by."""

FULL_SCALE = float(HANN.sum()) / 2
"""Magnitude of a bin that holds a sine of amplitude 1."""


def amplitude_to_db(amplitude: float) -> float:
    """An amplitude relative to full scale, at least `FLOOR_DB` and at most 0."""
    return min(0.0, max(FLOOR_DB, 20 * math.log10(amplitude))) if amplitude > 0 else FLOOR_DB


def rms_db(samples: Float32) -> float:
    """Root mean square of samples, shape (n,), n > 0."""
    return amplitude_to_db(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def peak_db(samples: Float32) -> float:
    """Loudest of some samples, shape (n,), n > 0."""
    return amplitude_to_db(float(np.abs(samples).max()))


def bands_db(frames: Float32) -> list[int]:
    """Loudest bin in each band of some frames.

    Parameters
    ----------
    frames : ndarray, shape (n, 129), float32
        n > 0 columns of the spectrogram.

    Returns
    -------
    list of int
        `BAND_COUNT` levels, from low to high frequencies, in whole decibels; a sine at full scale is 0.
    """
    # Without the constant component, which is no sound.
    loudest = frames[:, 1:].max(axis=0).reshape(BAND_COUNT, -1).max(axis=1) / FULL_SCALE
    return [round(amplitude_to_db(float(amplitude))) for amplitude in loudest]
