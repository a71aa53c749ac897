"""The status in the text format of Prometheus, for a file that the node exporter's textfile collector reads."""

from collections.abc import Mapping
from typing import get_args

from kwsd.events import State, StatusEvent


def prometheus_text(status: StatusEvent) -> str:
    """One sample a line.

    Notes
    -----
    Text format version 0.0.4 (prometheus.io, "Exposition formats").
    """
    states = {f'{{state="{state}"}}': float(state == status.state) for state in get_args(State)}
    words = dict.fromkeys(status.keywords, 0) | status.events_by_keyword
    times = status.inference_ms
    quantiles = {'{quantile="0.5"}': times.p50 / 1000, '{quantile="0.99"}': times.p99 / 1000} if times else {}
    families = [
        _family("state", "gauge", "1 for the state that the daemon is in.", states),
        _family("uptime_seconds", "gauge", "Since the daemon started.", {"": status.uptime_s}),
        _family("cpu_seconds_total", "counter", "CPU time used.", {"": status.cpu_s}),
        _family("windows_total", "counter", "Windows decided.", {"": status.windows}),
        _family("events_total", "counter", "Keyword events.", {_keyword(word): n for word, n in words.items()}),
        _family("gaps_total", "counter", "Times that audio was lost.", {"": status.gaps}),
        _family("dropped_blocks_total", "counter", "Blocks of audio dropped.", {"": status.dropped_blocks}),
        _family("queued_blocks", "gauge", "Blocks of audio that wait.", {"": status.queued_blocks}),
        _family("reconnects_total", "counter", "Times that a lost device was opened again.", {"": status.reconnects}),
        _family("overruns_total", "counter", "Times that a subscriber began to lose events.", {"": status.overruns}),
        _family("clips_written_total", "counter", "Clips kept.", {"": status.clips_written}),
        _family("clips_lost_total", "counter", "Clips that could not be written.", {"": status.clips_lost}),
        _family("silent_seconds", "gauge", "Nothing but zeros since then.", {"": status.silent_s}),
        _family("inference_seconds", "gauge", "Time to process a window.", quantiles),
    ]
    return "".join(families)


def _family(name: str, kind: str, meaning: str, samples: Mapping[str, float]) -> str:
    lines = [f"# HELP kwsd_{name} {meaning}", f"# TYPE kwsd_{name} {kind}"]
    return "\n".join(lines + [f"kwsd_{name}{labels} {value:.12g}" for labels, value in samples.items()]) + "\n"


def _keyword(word: str) -> str:
    escaped = word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{keyword="{escaped}"}}'
