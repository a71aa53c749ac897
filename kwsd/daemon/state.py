"""What one stream of the daemon is doing."""

from dataclasses import dataclass

from kwsd.bus.events import State


@dataclass(slots=True)
class StreamState:
    """The state of one stream, as its status events report it. The listener of the stream owns it.

    Parameters
    ----------
    stream : str
        Name of the stream. The only stream of a daemon has an empty name.
    source : str
        Name of the open device; before that, the device as configured.
    reason : str
        Why the stream is in this state; empty when all is well.
    gaps : int
        Times that audio was lost.
    silent_s : float
        Seconds of digital silence up to now.
    """

    stream: str
    source: str
    state: State = "starting"
    reason: str = ""
    gaps: int = 0
    silent_s: float = 0.0

    @property
    def hears(self) -> bool:
        """Whether the source delivers audio, as far as the daemon knows."""
        return self.state in {"listening", "muted"}

    def enter(self, state: State, reason: str = "") -> bool:
        """Change the state, and return whether the state or its reason is different from before."""
        changed = (state, reason) != (self.state, self.reason)
        self.state, self.reason = state, reason
        return changed

    def label(self, line: str) -> str:
        """Put the name of the stream, if it has one, before a line of text."""
        return f"{self.stream}: {line}" if self.stream else line
