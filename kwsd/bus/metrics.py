"""The status in the text format of Prometheus, for a file that the node exporter's textfile collector reads."""

from collections.abc import Callable, Mapping
from typing import get_args

from kwsd.bus.events import State, StatusEvent

LabelledValues = Mapping[str, float]
"""Labels as they stand in the text, without braces, to a value."""


def prometheus_text(*statuses: StatusEvent) -> str:
    """One sample a line.

    Parameters
    ----------
    statuses : StatusEvent
        Of each stream. Samples of streams with a name have it as a label; what the whole process counts has none.

    Notes
    -----
    Text format version 0.0.4 (prometheus.io, "Exposition formats").
    """
    whole = statuses[0]

    def of_each(count: Callable[[StatusEvent], LabelledValues | float]) -> LabelledValues:
        return {
            ",".join(
                label for label in (_format_label("stream", status.stream) if status.stream else "", own) if label
            ): value
            for status in statuses
            for own, value in _as_labelled(count(status)).items()
        }

    families = [
        _format_family("state", "gauge", "1 for the state that the daemon is in.", of_each(_state_values)),
        _format_family("uptime_seconds", "gauge", "Since the daemon started.", {"": whole.uptime_s}),
        _format_family("cpu_seconds_total", "counter", "CPU time used.", {"": whole.cpu_s}),
        _format_family("windows_total", "counter", "Windows decided.", of_each(lambda status: status.windows)),
        _format_family("events_total", "counter", "Keyword events.", of_each(_keyword_counts)),
        _format_family("gaps_total", "counter", "Times that audio was lost.", of_each(lambda status: status.gaps)),
        _format_family(
            "dropped_blocks_total", "counter", "Blocks of audio dropped.", of_each(lambda status: status.dropped_blocks)
        ),
        _format_family(
            "queued_blocks", "gauge", "Blocks of audio that wait.", of_each(lambda status: status.queued_blocks)
        ),
        _format_family(
            "reconnects_total",
            "counter",
            "Times that a lost device was opened again.",
            of_each(lambda status: status.reconnects),
        ),
        _format_family(
            "overruns_total", "counter", "Times that a subscriber began to lose events.", {"": whole.overruns}
        ),
        _format_family("clips_written_total", "counter", "Clips kept.", of_each(lambda status: status.clips_written)),
        _format_family(
            "clips_lost_total", "counter", "Clips that could not be written.", of_each(lambda status: status.clips_lost)
        ),
        _format_family(
            "silent_seconds", "gauge", "Nothing but zeros since then.", of_each(lambda status: status.silent_s)
        ),
        _format_family("inference_seconds", "gauge", "Time to process a window.", of_each(_inference_quantiles)),
    ]
    return "".join(families)


def _as_labelled(found: LabelledValues | float) -> LabelledValues:
    return found if isinstance(found, Mapping) else {"": found}


def _state_values(status: StatusEvent) -> LabelledValues:
    return {_format_label("state", state): float(state == status.state) for state in get_args(State)}


def _keyword_counts(status: StatusEvent) -> LabelledValues:
    counts = dict.fromkeys(status.keywords, 0) | status.events_by_keyword
    return {_format_label("keyword", word): count for word, count in counts.items()}


def _inference_quantiles(status: StatusEvent) -> LabelledValues:
    times = status.inference_ms
    return {'quantile="0.5"': times.p50 / 1000, 'quantile="0.99"': times.p99 / 1000} if times else {}


def _format_family(name: str, kind: str, meaning: str, samples: LabelledValues) -> str:
    lines = [f"# HELP kwsd_{name} {meaning}", f"# TYPE kwsd_{name} {kind}"]
    for labels, value in samples.items():
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"kwsd_{name}{braces} {value:.12g}")
    return "\n".join(lines) + "\n"


def _format_label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{name}="{escaped}"'
