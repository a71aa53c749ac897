"""Computes the log-mel spectrogram with which the embedding was trained.

The constants come from ``melspectrogram.onnx`` in openWakeWord 0.4.0. The openWakeWord file reproduces the front end of
Google's speech_embedding. `kwsd.frontend.stft` computes the short-time Fourier transform.
"""

import numpy as np

from kwsd.frontend import SAMPLE_RATE, Float32, stft

FRAME_LENGTH = 400  # samples, 25 ms
FRAME_STEP = 160  # samples, 10 ms
FFT_LENGTH = 512  # the next power of two
BANDS = 32
LOWEST_HZ = 60.0
HIGHEST_HZ = 3800.0

FULL_SCALE = 32_768.0
"""Factor that converts float samples to the range of 16-bit integers, with which the network was trained."""

FLOOR = 1e-10
"""Minimum energy of a mel band, as in openWakeWord.

In each call, openWakeWord also raises all energies to at least 80 dB below the largest energy. A stream cannot use a
limit relative to one call, because the result would depend on how the audio is divided.
"""

OFFSET = 2.0
"""Constant that openWakeWord adds to the logarithm to match the range of values that Google's network expects."""

# Periodic, unlike the window of kwsd.frontend. The factor is a power of two, so it rounds nothing.
TAPER: Float32 = (FULL_SCALE * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH))).astype(
    np.float32
)


def compute_log_mel(samples: Float32) -> Float32:
    """Return the logarithmic energies in mel bands.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
        Audio with at least `FRAME_LENGTH` samples. Samples after the last complete frame are ignored.

    Returns
    -------
    ndarray, shape (1 + (n - 400) // 160, 32), float32
        ``log10(energy) + 2`` of each band. The minimum value is `SILENCE`.

    Raises
    ------
    ValueError
        The number of samples n is smaller than `FRAME_LENGTH`.
    """
    transformed = stft(samples, TAPER, FRAME_STEP, FFT_LENGTH)
    power = np.square(transformed.real) + np.square(transformed.imag)
    result: Float32 = np.log10(np.maximum(power @ WEIGHTS, np.float32(FLOOR))) + np.float32(OFFSET)
    return result


def _mel_weights() -> Float32:
    """Return triangular filters of equal area, spaced on the mel scale, with the shape (257, 32).

    The filters equal the transposed result of ``librosa.filters.mel(sr=16000, n_fft=512, n_mels=32, fmin=60,
    fmax=3800)``.
    """
    frequencies = np.arange(FFT_LENGTH // 2 + 1) * SAMPLE_RATE / FFT_LENGTH
    lowest, highest = _hz_to_mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    corners = _mel_to_hz(np.linspace(lowest, highest, BANDS + 2))
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies[:, np.newaxis] - low) / (peak - low)
    falling = (high - frequencies[:, np.newaxis]) / (high - peak)
    triangles = np.maximum(0, np.minimum(rising, falling))
    weights: Float32 = (triangles * 2 / (high - low)).astype(np.float32)
    return weights


# Slaney's mel scale ("Auditory Toolbox", 1998, and librosa.hz_to_mel): linear below 1 kHz, logarithmic above.
_HZ_PER_MEL = 200 / 3
_LOG_START_HZ = 1000.0
_LOG_START_MEL = _LOG_START_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    return np.where(hz < _LOG_START_HZ, hz / _HZ_PER_MEL, _LOG_START_MEL + np.log(hz / _LOG_START_HZ) / _LOG_STEP)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _LOG_START_MEL, mel * _HZ_PER_MEL, _LOG_START_HZ * np.exp((mel - _LOG_START_MEL) * _LOG_STEP))


WEIGHTS = _mel_weights()
SILENCE = float(compute_log_mel(np.zeros(FRAME_LENGTH, np.float32))[0, 0])
"""Value of every mel band in digital silence."""
