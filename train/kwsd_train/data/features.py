"""From samples to what a network sees: the front end's spectrograms, and the mel bands inside the networks."""

import numpy as np

from kwsd import frontend
from kwsd.frontend import Float32
from kwsd_train.data.dataset import Int16

FULL_SCALE = 32_768
LOWEST_HZ, HIGHEST_HZ = 20.0, 8000.0


def as_float(samples: Int16) -> Float32:
    """Samples in [-1, 1)."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)


def spectrograms(windows: Float32) -> Float32:
    """Spectrograms of many windows.

    Parameters
    ----------
    windows : ndarray, shape (n, 16000), float32

    Returns
    -------
    ndarray, shape (n, 124, 129), float32
    """
    result = np.empty((len(windows), frontend.FRAMES, frontend.BINS), np.float32)
    for row, window in zip(result, windows, strict=True):  # seven times faster than one call: it stays in the cache
        row[:] = frontend.spectrogram(window)
    return result


def mel_matrix(bands: int) -> Float32:
    """Weights that gather a power spectrum into mel bands.

    Parameters
    ----------
    bands : int
        Triangular bands, equally wide on the HTK mel scale (HTK Book 3.4, eq. 5.13) from 20 Hz to 8 kHz.

    Returns
    -------
    ndarray, shape (129, bands), float32
        Each column sums to one. The spectrum is taken to run straight between its bins, 62.5 Hz apart, so that a band
        narrower than that is interpolated and none is empty.
    """
    hertz = np.arange(0.0, HIGHEST_HZ + 1)
    edges = _hertz(np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), bands + 2))
    rising = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    bins = np.arange(frontend.BINS) * frontend.SAMPLE_RATE / frontend.FFT_LENGTH
    between = np.maximum(0, 1 - np.abs(bins[:, None] - hertz) / bins[1])
    weights = between @ triangles
    matrix: Float32 = (weights / weights.sum(0)).astype(np.float32)
    return matrix


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
