"""The front end converts audio to a spectrogram. Training and the daemon both use this module.

The front end computes the transform of TensorFlow's "Simple audio recognition" tutorial with numpy:
``abs(tf.signal.stft(x, frame_length=255, frame_step=128))``.
"""

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

SAMPLE_RATE = 16_000  # Hz
WINDOW_SAMPLES = 16_000  # one second
FRAME_LENGTH = 255  # samples
FRAME_STEP = 128  # samples
FFT_LENGTH = 256  # the next power of two, TensorFlow's default
FRAMES = 1 + (WINDOW_SAMPLES - FRAME_LENGTH) // FRAME_STEP  # 124
BINS = FFT_LENGTH // 2 + 1  # 129, 0 Hz to 8 kHz in steps of 62.5 Hz

# TensorFlow's Hann window is periodic only for an even length. For 255 it is symmetric, with period 254
# (tensorflow/python/ops/signal/window_ops.py, _raised_cosine_window).
HANN: Float32 = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / (FRAME_LENGTH - 1))).astype(np.float32)


def clip_samples(samples: Float32) -> Float32:
    """Return the samples with all values clipped to [-1, 1]. Not-a-number values are replaced with 0.

    Raises
    ------
    ValueError
        The samples are not a float32 array with the shape (n,).
    """
    if samples.ndim != 1 or samples.dtype != np.float32:
        raise ValueError(f"samples are {samples.dtype} {samples.shape}, not float32 (n,)")
    if not np.abs(samples).max(initial=0) <= 1:  # true for not-a-number, too
        return np.nan_to_num(samples).clip(-1, 1)
    return samples


def spectrogram(samples: Float32) -> Float32:
    """Return the magnitude of the short-time Fourier transform over the last axis.

    Parameters
    ----------
    samples : ndarray, shape (..., n), float32 in [-1, 1], 16 kHz mono
        Audio with at least `FRAME_LENGTH` samples. Samples after the last complete frame are ignored.

    Returns
    -------
    ndarray, shape (..., 1 + (n - 255) // 128, 129), float32
        Magnitudes of the frequency bins of each frame. For a window of 16,000 samples the shape is (..., 124, 129).

    Raises
    ------
    ValueError
        The number of samples n is smaller than `FRAME_LENGTH`.

    Notes
    -----
    The result equals TensorFlow's ``abs(tf.signal.stft(samples, frame_length=255, frame_step=128))`` except for float32
    rounding.
    """
    magnitude: Float32 = np.abs(stft(samples, HANN, FRAME_STEP, FFT_LENGTH))
    return magnitude


def stft(samples: Float32, taper: Float32, step: int, fft_length: int) -> NDArray[np.complexfloating]:
    """Return the short-time Fourier transform over the last axis.

    Parameters
    ----------
    samples : ndarray, shape (..., n), float32
        Audio with at least one complete frame. Samples after the last complete frame are ignored.
    taper : ndarray, shape (frame length,), float32
        Factors by which the samples of a frame are multiplied.
    step : int
        Number of samples from the start of one frame to the start of the next.
    fft_length : int
        Number of points of the Fourier transform. A shorter frame is extended with zeros at its end.

    Returns
    -------
    ndarray, shape (..., 1 + (n - frame length) // step, fft_length // 2 + 1), complex64

    Raises
    ------
    ValueError
        The number of samples n is smaller than the frame length.
    """
    *others, length = samples.shape
    if length < len(taper):
        raise ValueError(f"{length} samples are fewer than the {len(taper)} of a frame")
    samples = np.ascontiguousarray(samples)
    shape = (*others, 1 + (length - len(taper)) // step, len(taper))
    strides = (*samples.strides[:-1], step * samples.itemsize, samples.itemsize)
    # The same view as from numpy's sliding_window_view, which takes as long as the FFT of a hop.
    frames = np.ndarray(shape, samples.dtype, samples, strides=strides)
    return np.fft.rfft(frames * taper, fft_length)
