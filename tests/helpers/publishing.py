"""Events as a daemon publishes them, for tests without a daemon."""

import datetime

from kwsd.bus.events import KeywordEvent, SampleRange, StatusEvent
from kwsd.bus.publisher import Publisher

NOW = datetime.datetime(2026, 11, 23, 12, 30, 15, tzinfo=datetime.UTC)
"""The time of every example event."""

STATUS = StatusEvent(
    run="run",
    seq=1,
    time=NOW,
    state="listening",
    model="default",
    keywords=["go"],
    source="default",
    uptime_s=1,
    windows=2,
    events=3,
    gaps=0,
)
"""The status of a daemon that listens."""


def keyword_event(word: str, sequence: int = 1) -> KeywordEvent:
    """The event of a detected keyword."""
    return KeywordEvent(
        id=f"run-{word}-{sequence}",
        run="run",
        seq=sequence,
        time=NOW,
        keyword=word,
        score=0.875,
        sample=32_000,
        window=SampleRange(16_000, 32_000),
        model="default",
        source="stdin",
        latency_ms=1.5,
    )


def wait_for_subscriber(publisher: Publisher) -> None:
    """Wait until a new subscriber has asked for events."""
    while not publisher.read_subscriptions():
        pass
