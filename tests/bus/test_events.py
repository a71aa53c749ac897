"""Events and their schema, tested with generated events and with those of a real daemon."""

import datetime
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers.command import Command
from hypothesis import given
from hypothesis import strategies as st

from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.events import Event, KeywordEvent, SampleRange, StatusEvent
from kwsd.errors import EventError

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

counts = st.integers(0, 2**53)
texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.datetimes(timezones=st.just(datetime.UTC))
seconds = st.floats(0, 1e9)

keyword_events = st.builds(
    KeywordEvent,
    id=texts,
    run=texts,
    seq=st.integers(1, 2**53),
    time=times,
    keyword=texts,
    score=st.floats(0, 1),
    sample=counts,
    window=st.builds(SampleRange, st.integers(-16_000, 2**53), counts),
    model=texts,
    source=texts,
    latency_ms=seconds,
)
status_events = st.builds(
    StatusEvent,
    run=texts,
    seq=st.integers(1, 2**53),
    time=times,
    state=st.sampled_from(["starting", "listening", "muted", "lost", "stopping"]),
    reason=texts,
    model=texts,
    keywords=st.lists(texts),
    source=texts,
    uptime_s=seconds,
    windows=counts,
    events=counts,
    gaps=counts,
)


@pytest.mark.locked
def test_the_documented_schema_is_the_one_of_the_code() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(events.events_json_schema()) == SCHEMA


@given(keyword_events | status_events)
def test_an_event_survives_the_wire_and_obeys_the_schema(event: Event) -> None:
    body = events.encode_event(event)
    assert events.decode_event(body) == event
    VALIDATOR.validate(json.loads(body))


@given(keyword_events)
def test_a_keyword_is_its_event_s_topic(event: KeywordEvent) -> None:
    assert events.event_topic(event) == f"kwsd.keyword.{event.keyword}"


@given(keyword_events | status_events)
def test_fields_of_a_later_kwsd_are_left_out(event: Event) -> None:
    row = json.loads(events.encode_event(event)) | {"mood": "sunny"}
    VALIDATOR.validate(row)
    assert events.decode_event(json.dumps(row).encode()) == event


@given(keyword_events, st.sampled_from(["id", "run", "seq", "time", "keyword", "score", "sample", "window", "type"]))
def test_an_event_without_one_of_its_fields_is_refused_by_code_and_schema_alike(event: Event, name: str) -> None:
    row = json.loads(events.encode_event(event))
    del row[name]
    assert not VALIDATOR.is_valid(row)
    with pytest.raises(EventError):
        events.decode_event(json.dumps(row).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'{"type": "weather"}', b'{"type": "\xff"}'])
def test_an_invalid_event_is_refused_in_one_sentence(body: bytes) -> None:
    with pytest.raises(EventError, match=r"the message is not an event of version 1: .") as refused:
        events.decode_event(body)
    assert "\n" not in str(refused.value)


@given(keyword_events | status_events)
def test_an_event_of_another_version_is_refused(event: Event) -> None:
    row = json.loads(events.encode_event(event)) | {"v": 2}
    assert not VALIDATOR.is_valid(row)
    with pytest.raises(EventError, match="not an event of version 1"):
        events.decode_event(json.dumps(row).encode())


def test_all_that_a_daemon_publishes_obeys_the_schema_and_is_numbered_without_gaps(
    kwsd: Command, two_words: Path
) -> None:
    address = f"ipc://{kwsd.home}/events.sock"
    with Subscription(address) as subscription:
        daemon = kwsd.start("run", "--device", f"file:{two_words}", "--address", address)
        rows: list[dict[str, Any]] = []
        while not rows or rows[-1].get("state") != "stopping":
            message = subscription.receive(timeout_s=60)
            assert message
            rows.append(json.loads(message.body))
            VALIDATOR.validate(rows[-1])
            assert message.topic == events.event_topic(events.decode_event(message.body))
        assert daemon.wait() == 0
    assert len({row["run"] for row in rows}) == 1
    numbers = defaultdict(list)
    for row in rows:
        numbers[row.get("keyword")].append(row["seq"])
    for first, *more in numbers.values():
        assert more == list(range(first + 1, first + 1 + len(more)))
    keywords = [row for row in rows if row["type"] == "keyword"]
    assert len({row["id"] for row in keywords}) == len(keywords) == rows[-1]["events"] >= 2
    assert all(row["window"]["end"] - row["window"]["start"] == 16_000 for row in keywords)
    assert all(row["source"] == f"file:{two_words}" for row in rows)
