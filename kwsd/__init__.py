"""kwsd: a streaming keyword-spotting daemon.

The names here are the whole Python interface: `load_model` and `Spotter` for programs with audio of their own,
`subscribe` for programs that listen to a running daemon.
"""

from kwsd.client import subscribe
from kwsd.detector import Detection
from kwsd.errors import KwsdError
from kwsd.events import KeywordEvent, StatusEvent
from kwsd.model import Model, load_model
from kwsd.spotter import Spotter

__version__ = "0.1.0"

__all__ = ["Detection", "KeywordEvent", "KwsdError", "Model", "Spotter", "StatusEvent", "load_model", "subscribe"]
