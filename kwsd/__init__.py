"""kwsd is a streaming keyword-spotting daemon.

Only the nine names in ``__all__`` are a stable interface. All other modules and names may change in any version.

Use `load_model` and `Spotter` to detect keywords in audio that your program provides. Use `Embedding` to measure how
similar recordings sound. Use `subscribe` to receive the events of a running daemon.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwsd.bus.client import subscribe
    from kwsd.bus.events import KeywordEvent, StatusEvent
    from kwsd.errors import KwsdError
    from kwsd.models.find import load_model
    from kwsd.models.model import Model
    from kwsd.pipeline.detector import Detection
    from kwsd.pipeline.embedding import Embedding
    from kwsd.pipeline.spotter import Spotter

__version__ = "0.1.0"

__all__ = [
    "Detection",
    "Embedding",
    "KeywordEvent",
    "KwsdError",
    "Model",
    "Spotter",
    "StatusEvent",
    "load_model",
    "subscribe",
]

_HOMES = {
    "Detection": "pipeline.detector",
    "Embedding": "pipeline.embedding",
    "KeywordEvent": "bus.events",
    "KwsdError": "errors",
    "Model": "models.model",
    "Spotter": "pipeline.spotter",
    "StatusEvent": "bus.events",
    "load_model": "models.find",
    "subscribe": "bus.client",
}


def __getattr__(name: str) -> object:
    # Imported on demand, because `kwsd --help` must not load numpy and ZeroMQ.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"kwsd.{_HOMES[name]}"), name)
