"""Converts the audio of a device or file to the format of the pipeline: 16 kHz, mono, float32."""

import math

import numpy as np
import soxr

from kwsd.frontend import SAMPLE_RATE, Float32

CANCELLED, RESTORED = 0.03, 0.1
"""Two limits for the ratio of the power of the averaged channels to the mean power of the channels. Below the first
limit, the channels are considered to cancel each other, for example because a cable has reversed polarity. Above the
second limit, the channels are considered normal again. For two independent channels, the ratio is one half."""


LOUDEST = np.float32(2**40)
"""Samples are clipped to this magnitude, so that the sum of their squares is always finite."""


class Converter:
    """Mixes the channels of a stream to mono and resamples the stream, block by block.

    The converter keeps the state of the resampling filter between blocks.

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
            Input samples; infinite and not-a-number samples are replaced by zeros. One infinite or not-a-number sample
            in the resampler would silence the rest of the stream.
        last : bool
            Whether these are the last frames of the stream. With the last frames, the resampler also returns the
            samples in its buffer.

        Returns
        -------
        ndarray, shape (m,), float32, 16 kHz
            Mean of the channels, or the loudest channel if the channels cancel each other. If the rate is converted,
            the number of samples m differs from call to call.
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
