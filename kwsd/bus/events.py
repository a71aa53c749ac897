"""Events: what is published; described in ``docs/events.md``, with a JSON Schema made from these classes."""

import datetime
import json
from typing import Annotated, Literal

import msgspec

from kwsd.errors import EventError

EVENT_VERSION: Literal[1] = 1
"""Version of the event format: fields may be added within a version, other changes make a new one."""

KEYWORD_TOPIC = "kwsd.keyword."
STATUS_TOPIC = "kwsd.status"
MONITOR_TOPIC = "kwsd.monitor"

State = Literal["starting", "listening", "muted", "lost", "stopping"]
Count = Annotated[int, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SampleRange(msgspec.Struct, frozen=True):
    """The window that decided, in samples from the start of the stream."""

    start: Annotated[int, msgspec.Meta(description="First sample; negative where the stream had just begun.")]
    end: Annotated[int, msgspec.Meta(description="The sample after the last.")]


class KeywordEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="keyword"):
    """A keyword was spoken."""

    v: Annotated[Literal[1], msgspec.Meta(description="Version of the event format.")] = EVENT_VERSION
    id: Annotated[str, msgspec.Meta(description="Unique to this event: the run and the sequence number.")]
    run: Annotated[str, msgspec.Meta(description="One run of the daemon.")]
    seq: Annotated[int, msgspec.Meta(ge=1, description="Counts the events of this topic in this run, without gaps.")]
    time: Annotated[datetime.datetime, msgspec.Meta(tz=True, description="When it was published, UTC.")]
    keyword: str
    score: Annotated[Fraction, msgspec.Meta(description="Smoothed score at the decision.")]
    sample: Annotated[Count, msgspec.Meta(description="Samples (16 kHz) that had arrived at the decision.")]
    window: SampleRange
    model: Annotated[str, msgspec.Meta(description="Name of the model.")]
    source: Annotated[str, msgspec.Meta(description="What was listened to.")]
    latency_ms: Annotated[
        float, msgspec.Meta(ge=0, description="From the arrival of the audio that decided to publication.")
    ]
    stream: Annotated[str, msgspec.Meta(description="Name of the stream; empty where the daemon has but one.")] = ""


class Quantiles(msgspec.Struct, frozen=True):
    """Median and 99th percentile, in milliseconds."""

    p50: Annotated[float, msgspec.Meta(ge=0)]
    p99: Annotated[float, msgspec.Meta(ge=0)]


class StatusEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """How a stream is: every five seconds, at each change of state, and when somebody subscribes or asks."""

    v: Annotated[Literal[1], msgspec.Meta(description="Version of the event format.")] = EVENT_VERSION
    run: Annotated[str, msgspec.Meta(description="One run of the daemon.")]
    seq: Annotated[int, msgspec.Meta(ge=1, description="Counts the status events of this run, without gaps.")]
    time: Annotated[datetime.datetime, msgspec.Meta(tz=True, description="When it was published, UTC.")]
    state: State
    reason: Annotated[str, msgspec.Meta(description="What is wrong with the audio; empty when nothing is.")] = ""
    model: Annotated[str, msgspec.Meta(description="Name of the model.")]
    keywords: list[str]
    source: Annotated[str, msgspec.Meta(description="What is listened to.")]
    uptime_s: Annotated[float, msgspec.Meta(ge=0, description="Seconds since the daemon started.")]
    windows: Annotated[Count, msgspec.Meta(description="Windows decided so far; none while nothing but zeros come.")]
    events: Annotated[Count, msgspec.Meta(description="Keyword events published so far.")]
    gaps: Annotated[Count, msgspec.Meta(description="Times that audio was lost and the window began anew.")]
    events_by_keyword: Annotated[
        dict[str, Count], msgspec.Meta(description="Keyword events published so far, of each keyword that had one.")
    ] = {}
    silent_s: Annotated[
        float, msgspec.Meta(ge=0, description="Seconds up to now in which the source delivered nothing but zeros.")
    ] = 0.0
    dropped_blocks: Annotated[
        Count, msgspec.Meta(description="Blocks of audio dropped because the daemon was two seconds behind.")
    ] = 0
    queued_blocks: Annotated[Count, msgspec.Meta(description="Blocks of audio that wait to be processed.")] = 0
    reconnects: Annotated[Count, msgspec.Meta(description="Times that a lost device was opened again.")] = 0
    overruns: Annotated[
        Count, msgspec.Meta(description="Times that a subscriber was too slow and began to lose events.")
    ] = 0
    inference_ms: Annotated[
        Quantiles | None, msgspec.Meta(description="Time from samples to decision for one of the latest 750 windows.")
    ] = None
    thresholds: Annotated[
        dict[str, Fraction], msgspec.Meta(description="Threshold of each keyword's smoothed score.")
    ] = {}
    cpu_s: Annotated[float, msgspec.Meta(ge=0, description="Seconds of CPU time that the daemon has used.")] = 0.0
    clips_folder: Annotated[
        str, msgspec.Meta(description="Where audio of detections and near misses is kept; empty when none is.")
    ] = ""
    clips_written: Annotated[Count, msgspec.Meta(description="Clips kept in this run.")] = 0
    clips_lost: Annotated[Count, msgspec.Meta(description="Clips that could not be written.")] = 0
    stream: Annotated[str, msgspec.Meta(description="Name of the stream; empty where the daemon has but one.")] = ""


class MonitorEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="monitor"):
    """What the daemon has just heard, in outline: only while somebody watches, and only on ipc."""

    v: Annotated[Literal[1], msgspec.Meta(description="Version of the event format.")] = EVENT_VERSION
    run: Annotated[str, msgspec.Meta(description="One run of the daemon.")]
    seq: Annotated[int, msgspec.Meta(ge=1, description="Counts the monitor events of this run, without gaps.")]
    sample: Annotated[Count, msgspec.Meta(description="Samples (16 kHz) that had arrived.")]
    level_db: Annotated[float, msgspec.Meta(le=0, description="Mean level since the event before; full scale is 0.")]
    peak_db: Annotated[float, msgspec.Meta(le=0, description="Loudest sample since the event before.")]
    scores: Annotated[dict[str, Fraction], msgspec.Meta(description="Smoothed score of each keyword.")]
    bands_db: Annotated[
        list[int],
        msgspec.Meta(description="Loudest of the latest hop in each of 32 bands of 250 Hz, from low to high."),
    ]
    stream: Annotated[str, msgspec.Meta(description="Name of the stream; empty where the daemon has but one.")] = ""


Event = KeywordEvent | StatusEvent | MonitorEvent

_FIXED_TOPICS = {StatusEvent: STATUS_TOPIC, MonitorEvent: MONITOR_TOPIC}


def event_topic(event: Event) -> str:
    """Topic under which an event is published."""
    return KEYWORD_TOPIC + event.keyword if isinstance(event, KeywordEvent) else _FIXED_TOPICS[type(event)]


def encode_event(event: Event) -> bytes:
    """An event as UTF-8 JSON."""
    return msgspec.json.encode(event)


def decode_event(body: bytes) -> Event:
    """The event in a JSON body; fields that this version does not know are left out.

    Raises
    ------
    EventError
        The body is no event of this version.
    """
    try:
        event: Event = msgspec.json.decode(body, type=Event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventError(f"what arrived is no event of version {EVENT_VERSION}: {error}") from None
    return event


def events_json_schema() -> str:
    """JSON Schema (draft 2020-12) of all events, as in ``docs/events.schema.json``."""
    (schema,), components = msgspec.json.schema_components([Event], ref_template="#/$defs/{name}")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"kwsd events, version {EVENT_VERSION}",
        **schema,
        "$defs": components,
    }
    return json.dumps(whole, indent=2) + "\n"


def utc_now() -> datetime.datetime:
    """Wall time for an event; nothing else in kwsd looks at the wall clock."""
    return datetime.datetime.now(datetime.UTC)
