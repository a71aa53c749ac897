"""The events that the daemon publishes; see ``docs/events.md``.

The JSON Schema of the events is generated from the classes in this module.
"""

import datetime
import json
from typing import Annotated, Literal

import msgspec

from kwsd.errors import EventError

EVENT_VERSION: Literal[1] = 1
"""Version of the event format. A new field does not change the version, but every other change of the format does."""

KEYWORD_TOPIC = "kwsd.keyword."
STATUS_TOPIC = "kwsd.status"
MONITOR_TOPIC = "kwsd.monitor"

State = Literal["starting", "listening", "muted", "lost", "stopping"]
Count = Annotated[int, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]

Version = Annotated[Literal[1], msgspec.Meta(description="Version of the event format.")]
RunId = Annotated[str, msgspec.Meta(description="Identifier of this run of the daemon.")]
PublicationTime = Annotated[
    datetime.datetime, msgspec.Meta(tz=True, description="Time at which the event was published, in UTC.")
]
ModelName = Annotated[str, msgspec.Meta(description="Name of the model.")]
SourceName = Annotated[str, msgspec.Meta(description="Name of the audio source, such as the microphone.")]
StreamName = Annotated[
    str, msgspec.Meta(description="Name of the stream. Empty if the configuration does not name streams.")
]


class SampleRange(msgspec.Struct, frozen=True):
    """The window that triggered a detection, in samples from the start of the stream."""

    start: Annotated[
        int, msgspec.Meta(description="First sample of the window. Negative during the first second of a stream.")
    ]
    end: Annotated[int, msgspec.Meta(description="First sample after the window.")]


class KeywordEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="keyword"):
    """A keyword was detected."""

    v: Version = EVENT_VERSION
    id: Annotated[str, msgspec.Meta(description="Unique identifier of the event: run and sequence number.")]
    run: RunId
    seq: Annotated[
        int,
        msgspec.Meta(ge=1, description="Sequence number of the event within its topic and run. A gap means a loss."),
    ]
    time: Annotated[
        datetime.datetime,
        msgspec.Meta(tz=True, description="Time at which the last audio of the window was recorded, in UTC."),
    ]
    keyword: Annotated[str, msgspec.Meta(description="The detected keyword.")]
    score: Annotated[Fraction, msgspec.Meta(description="Smoothed score of the keyword at the detection.")]
    sample: Annotated[
        Count, msgspec.Meta(description="Position of the detection in samples (16 kHz) from the start of the stream.")
    ]
    window: SampleRange
    model: ModelName
    source: SourceName
    latency_ms: Annotated[
        float,
        msgspec.Meta(
            ge=0, description="Milliseconds from the recording of the last audio of the window to the publication."
        ),
    ]
    stream: StreamName = ""


class Quantiles(msgspec.Struct, frozen=True):
    """Median and 99th percentile, in milliseconds."""

    p50: Annotated[float, msgspec.Meta(ge=0, description="Median.")]
    p99: Annotated[float, msgspec.Meta(ge=0, description="99th percentile.")]


class StatusEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """The status of a stream.

    The daemon publishes it every five seconds, at each change of state, for each new subscriber and after each request.
    """

    v: Version = EVENT_VERSION
    run: RunId
    seq: Annotated[
        int, msgspec.Meta(ge=1, description="Sequence number among the status events of this run. A gap means a loss.")
    ]
    time: PublicationTime
    state: Annotated[State, msgspec.Meta(description="What the daemon does with this stream.")]
    reason: Annotated[str, msgspec.Meta(description="The problem with the audio. Empty if there is no problem.")] = ""
    model: ModelName
    keywords: Annotated[list[str], msgspec.Meta(description="Keywords that the model detects.")]
    source: SourceName
    uptime_s: Annotated[float, msgspec.Meta(ge=0, description="Seconds since the daemon started.")]
    windows: Annotated[
        Count, msgspec.Meta(description="Windows processed so far. The number does not grow during digital silence.")
    ]
    events: Annotated[Count, msgspec.Meta(description="Keyword events published so far.")]
    gaps: Annotated[Count, msgspec.Meta(description="Gaps in the audio so far. After a gap, the window starts empty.")]
    events_by_keyword: Annotated[
        dict[str, Count],
        msgspec.Meta(description="Keyword events published so far, for each keyword with at least one."),
    ] = {}
    silent_s: Annotated[
        float, msgspec.Meta(ge=0, description="Duration of the current digital silence (only zeros) in seconds.")
    ] = 0.0
    dropped_blocks: Annotated[
        Count, msgspec.Meta(description="Audio blocks dropped because the queue of two seconds was full.")
    ] = 0
    queued_blocks: Annotated[Count, msgspec.Meta(description="Audio blocks that wait in the queue.")] = 0
    reconnects: Annotated[Count, msgspec.Meta(description="Reconnects to a lost device so far.")] = 0
    overruns: Annotated[
        Count, msgspec.Meta(description="Times that a slow subscriber began to lose events, so far.")
    ] = 0
    inference_ms: Annotated[
        Quantiles | None,
        msgspec.Meta(description="Processing time of a window in milliseconds, over the latest 750 windows."),
    ] = None
    thresholds: Annotated[
        dict[str, Fraction], msgspec.Meta(description="For each keyword, the threshold of its smoothed score.")
    ] = {}
    cpu_s: Annotated[float, msgspec.Meta(ge=0, description="CPU time that the daemon has used, in seconds.")] = 0.0
    clips_folder: Annotated[
        str, msgspec.Meta(description="Folder for clips of detections and near misses. Empty if none are saved.")
    ] = ""
    clips_written: Annotated[Count, msgspec.Meta(description="Clips saved in this run.")] = 0
    clips_lost: Annotated[Count, msgspec.Meta(description="Clips that could not be saved in this run.")] = 0
    stream: StreamName = ""


class MonitorEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="monitor"):
    """Levels and scores of the latest audio. Published only on ipc, and only while a program subscribes to it."""

    v: Version = EVENT_VERSION
    run: RunId
    seq: Annotated[
        int, msgspec.Meta(ge=1, description="Sequence number among the monitor events of this run. A gap means a loss.")
    ]
    sample: Annotated[
        Count, msgspec.Meta(description="Number of samples (16 kHz) received from the start of the stream.")
    ]
    level_db: Annotated[
        float, msgspec.Meta(le=0, description="Mean level since the previous monitor event, in dB below full scale.")
    ]
    peak_db: Annotated[
        float, msgspec.Meta(le=0, description="Peak level since the previous monitor event, in dB below full scale.")
    ]
    scores: Annotated[dict[str, Fraction], msgspec.Meta(description="For each keyword, its smoothed score.")]
    bands_db: Annotated[
        list[int],
        msgspec.Meta(
            description="Maximum level of the latest hop in each of 32 bands of 250 Hz, from low to high, in dB."
        ),
    ]
    stream: StreamName = ""


Event = KeywordEvent | StatusEvent | MonitorEvent

# A keyword event has its keyword in the topic, so that subscribers can select keywords.
_FIXED_TOPICS = {StatusEvent: STATUS_TOPIC, MonitorEvent: MONITOR_TOPIC}


def event_topic(event: Event) -> str:
    """Return the topic under which the daemon publishes an event."""
    return KEYWORD_TOPIC + event.keyword if isinstance(event, KeywordEvent) else _FIXED_TOPICS[type(event)]


def encode_event(event: Event) -> bytes:
    """Encode an event as UTF-8 JSON."""
    return msgspec.json.encode(event)


def decode_event(body: bytes) -> Event:
    """Decode an event from UTF-8 JSON. Unknown fields are ignored, because later versions of kwsd may add fields.

    Raises
    ------
    EventError
        The body is not an event that this version can read.
    """
    try:
        event: Event = msgspec.json.decode(body, type=Event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventError(f"the message is not an event of version {EVENT_VERSION}: {error}") from None
    return event


def events_json_schema() -> str:
    """Return the JSON Schema (draft 2020-12) of all events, which ``docs/events.schema.json`` contains."""
    (schema,), components = msgspec.json.schema_components([Event], ref_template="#/$defs/{name}")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"kwsd events, version {EVENT_VERSION}",
        **schema,
        "$defs": components,
    }
    return json.dumps(whole, indent=2) + "\n"


def utc_now() -> datetime.datetime:
    """Return the current time for the field ``time`` of an event.

    All other code of kwsd uses monotonic clocks instead of the wall clock.
    """
    return datetime.datetime.now(datetime.UTC)
