"""Converts the audio of a device or file to the format of the pipeline: 16 kHz, mono, float32."""

import math

import numpy as np
import soxr

from kwsd.frontend import SAMPLE_RATE, Float32

CANCELLED, RESTORED = 0.03, 0.1
"""Two limits for the power of the mean of the channels, as a share of the mean power of the channels. Below the first
limit, the channels count as cancelling each other, as with a cable of wrong polarity. Above the second limit, they
count as normal again. The share of channels that have nothing in common is one half."""


LOUDEST = np.float32(2**40)
"""Larger samples are limited to this value, so that no sum of their squares is infinite."""


class Converter:
    """Mixes down and resamples a stream, block by block. The state of the filter is kept between blocks.

    Parameters
    ----------
    rate : int
        Sampling rate of the input, in hertz.
    """

    def __init__(self, rate: int) -> None:
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        self._cancelled = False

    def convert(self, frames: Float32, *, last: bool = False) -> Float32:
        """Convert the next frames.

        Parameters
        ----------
        frames : ndarray, shape (n, channels), float32
            Infinite and not-a-number samples become silence. In the resampler, one such sample would silence the rest
            of the stream.
        last : bool
            Whether the stream ends here. The resampler then returns the samples that it holds back.

        Returns
        -------
        ndarray, shape (m,), float32, 16 kHz
            Mean of the channels, or the loudest channel if the channels cancel each other. If the rate is converted, m
            differs from call to call.
        """
        # The sum of squares is finite only if all samples are. A test of each sample takes three times as long.
        power = float(np.vdot(frames, frames))
        if not math.isfinite(power):
            frames = np.clip(np.where(np.isfinite(frames), frames, np.float32(0)), -LOUDEST, LOUDEST)
            power = float(np.vdot(frames, frames))
        mono: Float32 = frames[:, 0] if frames.shape[1] == 1 else self._mix(frames, power)
        if self._resampler is None:
            return mono
        resampled: Float32 = self._resampler.resample_chunk(mono, last=last)
        return resampled

    def _mix(self, frames: Float32, power: float) -> Float32:
        mean: Float32 = frames.mean(axis=1, dtype=np.float32)
        if power:  # digital silence changes nothing
            share = float(np.vdot(mean, mean)) * frames.shape[1] / power
            self._cancelled = share < (RESTORED if self._cancelled else CANCELLED)
        if not self._cancelled:
            return mean
        loudest: Float32 = frames[:, np.square(frames).sum(axis=0).argmax()]
        return loudest
