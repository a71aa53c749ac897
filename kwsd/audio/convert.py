"""Converts the audio of a device or file to the format of the pipeline: 16 kHz, mono, float32."""

import math

import numpy as np
import soxr

from kwsd.frontend import SAMPLE_RATE, Float32


class Converter:
    """Mixes down and resamples a stream, block by block. The state of the filter is kept between blocks.

    Parameters
    ----------
    rate : int
        Sampling rate of the input, in hertz.
    """

    def __init__(self, rate: int) -> None:
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")

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
            Mean of the channels. If the rate is converted, m differs from call to call.
        """
        # The sum of squares is finite only if all samples are. A test of each sample takes three times as long.
        if not math.isfinite(np.vdot(frames, frames)):
            frames = np.where(np.isfinite(frames), frames, np.float32(0))
        mono: Float32 = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
        if self._resampler is None:
            return mono
        resampled: Float32 = self._resampler.resample_chunk(mono, last=last)
        return resampled
