"""Silence of zeros: a microphone always hears some noise, so nothing but zeros means that it is none, or muted."""

from kwsd.frontend import SAMPLE_RATE, Float32

SILENT_S = 2.0
"""Seconds of zeros after which the source is suspect. A microphone with a noise gate is so in every pause: it is in the
status, which costs nothing, and in the log once a minute at most."""

ONLY_ZEROS = "the source delivers nothing but zeros: it is muted, or the wrong one"
"""What is probably wrong when all samples are zero, for people."""


class Silence:
    """Counts how long a stream has held nothing but zeros; its clock is the stream itself."""

    def __init__(self) -> None:
        self._samples = 0

    def feed(self, samples: Float32) -> None:
        """Take the next samples, shape (n,)."""
        self._samples = 0 if samples.any() else self._samples + len(samples)

    def reset(self) -> None:
        """Begin anew, as after a gap: another source may deliver what comes now."""
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Seconds of zeros up to now."""
        return self._samples / SAMPLE_RATE

    @property
    def reason(self) -> str:
        """What is probably wrong, in one sentence; empty when nothing is."""
        if self.seconds < SILENT_S:
            return ""
        return ONLY_ZEROS
