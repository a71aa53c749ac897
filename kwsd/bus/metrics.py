"""Formats the status for Prometheus, as a file for the textfile collector of the node exporter."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, get_args

from kwsd.bus.events import State, StatusEvent

LabelledValues = Mapping[str, float]
"""Maps labels, formatted without braces, to the value of a metric. An empty string means that the value has no
label."""


class Family(NamedTuple):
    """A metric with all its labelled values.

    Parameters
    ----------
    name : str
        Name of the metric without the prefix ``kwsd_``.
    kind : str
        ``gauge`` or ``counter``.
    meaning : str
        Description of the metric in one sentence.
    read : callable
        Function that reads the value, or the labelled values, from the status of a stream.
    is_global : bool
        Whether the value belongs to the whole process and is therefore equal for all streams.
    """

    name: str
    kind: str
    meaning: str
    read: Callable[[StatusEvent], LabelledValues | float]
    is_global: bool = False


def prometheus_text(*statuses: StatusEvent) -> str:
    """Return the status of all streams in the text format of Prometheus, one sample per line.

    Parameters
    ----------
    statuses : StatusEvent
        Status of each stream. The name of a stream becomes the label ``stream``. Values of
        the whole process do not have the label ``stream``.

    Notes
    -----
    The text format is version 0.0.4 (prometheus.io, "Exposition formats").
    """
    return "".join(_format_family(family, statuses) for family in FAMILIES)


def _format_family(family: Family, statuses: tuple[StatusEvent, ...]) -> str:
    lines = [f"# HELP kwsd_{family.name} {family.meaning}", f"# TYPE kwsd_{family.name} {family.kind}"]
    for status in statuses[:1] if family.is_global else statuses:
        found = family.read(status)
        stream = _format_label("stream", status.stream) if status.stream and not family.is_global else ""
        for label, value in (found if isinstance(found, Mapping) else {"": found}).items():
            labels = ",".join(each for each in (stream, label) if each)
            lines.append(f"kwsd_{family.name}{f'{{{labels}}}' if labels else ''} {value:.12g}")
    return "\n".join(lines) + "\n"


def _format_label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{escaped}"'


def _state_values(status: StatusEvent) -> LabelledValues:
    return {_format_label("state", state): float(state == status.state) for state in get_args(State)}


def _keyword_counts(status: StatusEvent) -> LabelledValues:
    counts = dict.fromkeys(status.keywords, 0) | status.events_by_keyword
    return {_format_label("keyword", word): count for word, count in counts.items()}


def _inference_quantiles(status: StatusEvent) -> LabelledValues:
    times = status.inference_ms
    return {'quantile="0.5"': times.p50 / 1000, 'quantile="0.99"': times.p99 / 1000} if times else {}


FAMILIES = [
    Family("state", "gauge", "1 for the current state of the daemon, 0 for the others.", _state_values),
    Family("uptime_seconds", "gauge", "Time since the daemon started.", lambda status: status.uptime_s, is_global=True),
    Family("cpu_seconds_total", "counter", "CPU time used.", lambda status: status.cpu_s, is_global=True),
    Family("windows_total", "counter", "Windows processed.", lambda status: status.windows),
    Family("events_total", "counter", "Keyword events published.", _keyword_counts),
    Family("gaps_total", "counter", "Gaps in the audio.", lambda status: status.gaps),
    Family("dropped_blocks_total", "counter", "Audio blocks dropped.", lambda status: status.dropped_blocks),
    Family("queued_blocks", "gauge", "Audio blocks in the queue.", lambda status: status.queued_blocks),
    Family("reconnects_total", "counter", "Reconnects to a lost device.", lambda status: status.reconnects),
    Family(
        "overruns_total",
        "counter",
        "Times that a slow subscriber began to lose events.",
        lambda status: status.overruns,
        is_global=True,
    ),
    Family("clips_written_total", "counter", "Clips saved.", lambda status: status.clips_written),
    Family("clips_lost_total", "counter", "Clips that could not be saved.", lambda status: status.clips_lost),
    Family("silent_seconds", "gauge", "Duration of the current digital silence.", lambda status: status.silent_s),
    Family("inference_seconds", "gauge", "Time to process a window.", _inference_quantiles),
]
"""List of all metrics in the order of the output."""
