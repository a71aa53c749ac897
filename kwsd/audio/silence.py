"""Digital silence: a working microphone always has noise, so all-zero audio means a muted or wrong source."""

from kwsd.frontend import SAMPLE_RATE, Float32

SILENT_S = 2.0
"""Seconds of zeros after which the status gives a reason. A microphone with a noise gate reaches this in every pause,
so the log repeats the reason at most once a minute."""

ONLY_ZEROS = "the source delivers only zeros: it is muted or the wrong one"
"""What is probably wrong if all samples are zero."""


class Silence:
    """Counts how long a stream has held only zeros. Its clock is the number of samples."""

    def __init__(self) -> None:
        self._samples = 0

    def feed(self, samples: Float32) -> None:
        """Take the next samples, shape (n,)."""
        self._samples = 0 if samples.any() else self._samples + len(samples)

    def reset(self) -> None:
        """Start to count again, as after a gap: another source may deliver the next samples."""
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Seconds of zeros up to now."""
        return self._samples / SAMPLE_RATE

    @property
    def reason(self) -> str:
        """What is probably wrong, in one sentence; empty if the stream has sound."""
        if self.seconds < SILENT_S:
            return ""
        return ONLY_ZEROS
