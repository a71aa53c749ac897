"""From what a device or file delivers to what the pipeline takes: 16 kHz, mono, float32."""

import math

import numpy as np
import soxr

from kwsd.frontend import SAMPLE_RATE, Float32


class Converter:
    """Mixes down and resamples a stream, block by block, with the filter's state kept from one to the next.

    Parameters
    ----------
    rate : int
        Of the input, in hertz.
    """

    def __init__(self, rate: int) -> None:
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")

    def convert(self, frames: Float32, *, last: bool = False) -> Float32:
        """Convert the next frames.

        Parameters
        ----------
        frames : ndarray, shape (n, channels), float32
            Not-a-number and infinite samples are taken as silence: in the resampler one of them would silence the
            stream for good.
        last : bool
            Whether the stream ends here, so that what the resampler holds back is due.

        Returns
        -------
        ndarray, shape (m,), float32, 16 kHz
            The mean of the channels. When resampling, m varies from call to call.
        """
        # Finite only when all samples are. To look at each of them takes three times as long.
        if not math.isfinite(np.vdot(frames, frames)):
            frames = np.where(np.isfinite(frames), frames, np.float32(0))
        mono: Float32 = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
        if self._resampler is None:
            return mono
        resampled: Float32 = self._resampler.resample_chunk(mono, last=last)
        return resampled
