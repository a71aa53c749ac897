"""Computes the levels of samples and of spectrogram bands, in decibels relative to full scale."""

import math

import numpy as np

from kwsd.frontend import HANN, Float32

FLOOR_DB = -120.0
"""Level of digital silence, in decibels. This level is about 30 dB below the lowest bit of 16-bit audio."""

QUIET_ROOM_DB = -80.0
"""Level of a quiet room, which is the lower end of the level displays."""

BAND_COUNT = 32
"""Number of frequency bands. Each band covers 250 Hz (four bins), which is enough to recognise speech on a display."""

FULL_SCALE = float(HANN.sum()) / 2
"""Magnitude of the spectrogram bin that contains a sine with amplitude 1: half the sum of the analysis window."""


def amplitude_to_db(amplitude: float) -> float:
    """Convert an amplitude to decibels relative to full scale, limited to the range from `FLOOR_DB` to 0."""
    return min(0.0, max(FLOOR_DB, 20 * math.log10(amplitude))) if amplitude > 0 else FLOOR_DB


def rms_db(samples: Float32) -> float:
    """Return the root mean square level of at least one sample, in decibels. The samples have the shape (n,)."""
    return amplitude_to_db(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def peak_db(samples: Float32) -> float:
    """Return the peak level of at least one sample, in decibels. The samples have the shape (n,)."""
    return amplitude_to_db(float(np.abs(samples).max()))


def bands_db(frames: Float32) -> list[int]:
    """Return the maximum level in each band of the spectrogram.

    Parameters
    ----------
    frames : ndarray, shape (n, 129), float32
        At least one frame of the spectrogram.

    Returns
    -------
    list of int
        `BAND_COUNT` levels from low to high frequencies, in whole decibels. A sine with amplitude 1 has the level 0.
    """
    # The first bin holds the constant component, which is not audible.
    loudest = frames[:, 1:].max(axis=0).reshape(BAND_COUNT, -1).max(axis=1) / FULL_SCALE
    return [round(amplitude_to_db(float(amplitude))) for amplitude in loudest]
