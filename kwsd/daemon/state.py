"""The state of one audio stream of the daemon."""

from dataclasses import dataclass

from kwsd.bus.events import State


@dataclass(slots=True)
class StreamState:
    """The state of one stream, as its status events report it. Only the listener of the stream changes the state.

    Parameters
    ----------
    stream : str
        Name of the stream. If a daemon has only one stream, the name is empty.
    source : str
        Name of the open device. Until a device is open, this is the device name from the configuration.
    reason : str
        Reason why the stream is in this state; empty if there is no fault.
    gaps : int
        Number of times that audio was lost.
    silent_s : float
        Seconds of digital silence that the stream has received so far.
    """

    stream: str
    source: str
    state: State = "starting"
    reason: str = ""
    gaps: int = 0
    silent_s: float = 0.0

    @property
    def hears(self) -> bool:
        """Whether the source delivers audio, according to the latest information of the daemon."""
        return self.state in {"listening", "muted"}

    def enter(self, state: State, reason: str = "") -> bool:
        """Change the state of the stream, and return whether the state or its reason has changed."""
        changed = (state, reason) != (self.state, self.reason)
        self.state, self.reason = state, reason
        return changed

    def label(self, line: str) -> str:
        """Put the name of the stream before a line of text, if the stream has a name."""
        return f"{self.stream}: {line}" if self.stream else line
