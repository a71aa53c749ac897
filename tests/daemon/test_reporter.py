"""A reporter: which changes it logs, and what it counts."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.stream import Script

from kwsd import Detection, Spotter, load_model
from kwsd.audio.capture import Capture
from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent, State, StatusEvent, decode_event
from kwsd.bus.publisher import Publisher
from kwsd.clips.saver import ClipSaver
from kwsd.config.schema import ClipsConfig
from kwsd.daemon.notify import Notifier
from kwsd.daemon.reporter import Reporter
from kwsd.daemon.state import StreamState


@pytest.fixture
def state() -> StreamState:
    return StreamState("", "microphone")


@pytest.fixture
def publisher(runtime: Path) -> Iterator[Publisher]:
    with Publisher(f"ipc://{runtime}/events.sock") as publisher:
        yield publisher


@pytest.fixture
def subscription(publisher: Publisher) -> Iterator[Subscription]:
    with closing(Subscription(publisher.address)) as subscription:
        while not publisher.read_subscriptions():
            pass
        yield subscription


@pytest.fixture
def reporter(publisher: Publisher, state: StreamState) -> Iterator[Reporter]:
    with closing(Capture(Script)) as capture:
        yield Reporter(publisher, Notifier({}), state, capture, Spotter(load_model()), ClipSaver(ClipsConfig()))


def enter(reporter: Reporter, state: StreamState, name: State, reason: str = "") -> None:
    state.enter(name, reason)
    reporter.report_state()


def test_each_change_of_the_state_is_logged(
    reporter: Reporter, state: StreamState, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    enter(reporter, state, "listening")
    enter(reporter, state, "lost", "unplugged")
    enter(reporter, state, "listening")
    enter(reporter, state, "stopping")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "listening on microphone"),
        ("WARNING", "lost: unplugged"),
        ("INFO", "listening on microphone"),
        ("INFO", "stopping"),
    ]


def test_a_reason_that_comes_and_goes_is_logged_once_a_minute(
    reporter: Reporter, state: StreamState, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    enter(reporter, state, "listening")
    for _ in range(5):
        enter(reporter, state, "listening", "zeros")
        enter(reporter, state, "listening")
    assert [record.message for record in caplog.records] == [
        "listening on microphone",
        "listening on microphone: zeros",
        "listening on microphone",
    ]


def test_many_gaps_are_counted_and_logged_once_a_minute(
    reporter: Reporter, state: StreamState, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 6):
        state.gaps = number
        reporter.report_gap()
    assert [record.message for record in caplog.records] == [
        "audio was lost: the window begins again on microphone (gap 1)"
    ]
    assert reporter.publish_status().gaps == 5


def test_keyword_events_are_numbered_by_keyword_and_counted(reporter: Reporter, subscription: Subscription) -> None:
    for keyword in ("go", "stop", "go"):
        reporter.publish_keyword(Detection(keyword, 0.9, 32_000), 0.0)
    last, found = reporter.publish_status(), []
    while (message := subscription.receive(timeout_s=60)) and (event := decode_event(message.body)) != last:
        assert isinstance(event, KeywordEvent)
        found.append((event.keyword, event.seq, event.window.start, event.window.end))
    assert found == [("go", 1, 16_000, 32_000), ("stop", 1, 16_000, 32_000), ("go", 2, 16_000, 32_000)]
    assert (last.events, last.events_by_keyword) == (3, {"go": 2, "stop": 1})


def test_processing_times_are_quantiles_over_the_newest_windows(reporter: Reporter) -> None:
    assert reporter.publish_status().inference_ms is None
    for milliseconds in range(1, 101):
        reporter.count_windows(1, milliseconds / 1000)
    reporter.count_windows(0, 9.0)  # a block that completes no window
    status: StatusEvent = reporter.publish_status()
    assert status.inference_ms
    assert (status.inference_ms.p50, status.inference_ms.p99) == (51, 100)
    assert status.windows == 100
