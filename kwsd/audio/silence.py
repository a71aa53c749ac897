"""Detects digital silence: a working microphone always has noise, so all-zero audio means a muted or wrong source."""

from kwsd.frontend import SAMPLE_RATE, Float32

SILENT_S = 2.0
"""Seconds of zeros after which the status shows a possible reason for the silence. A microphone with a noise gate
delivers zeros in every pause, so the log repeats the reason at most once a minute."""

ONLY_ZEROS = "the source delivers only zeros: it is muted or the wrong one"
"""Message that describes the probable cause if all samples are zero."""


class Silence:
    """Counts for how long a stream has contained only zeros. The counter measures time by the number of samples."""

    def __init__(self) -> None:
        self._samples = 0

    def feed(self, samples: Float32) -> None:
        """Count the next samples of the stream, shape (n,)."""
        self._samples = 0 if samples.any() else self._samples + len(samples)

    def reset(self) -> None:
        """Start to count again from zero.

        Call this method after a gap, because another source may deliver the next samples.
        """
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Seconds of zeros at the current end of the stream."""
        return self._samples / SAMPLE_RATE

    @property
    def reason(self) -> str:
        """Return the probable cause of the silence in one sentence; empty if the stream contains sound."""
        if self.seconds < SILENT_S:
            return ""
        return ONLY_ZEROS
