"""What a process takes, from ``/proc``: memory, files, threads, processor time."""

import os
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WARM_UP = 0.1
"""Share of a run after which memory is expected to be flat."""

FEWEST = 4
"""Samples from which a slope and its error can be estimated."""


class Sample(NamedTuple):
    """A look at a process.

    Parameters
    ----------
    hours : float
        Since the start of the run: of real time, or of audio.
    rss_kb, files, sockets, threads : int
        Files with the sockets among them.
    cpu_s : float
        Since the process started.
    settled : bool
        Whether nothing was going on that takes files of its own: a fault, or another subscriber.
    """

    hours: float
    rss_kb: int
    files: int
    sockets: int
    threads: int
    cpu_s: float
    settled: bool


def look(pid: int, hours: float, *, settled: bool) -> Sample:
    """A sample of a running process."""
    process = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    links = [_target(entry) for entry in (process / "fd").iterdir()]
    # The second field is the name in brackets, which may hold blanks; fields 14 and 15 are user and system time.
    times = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    return Sample(
        hours=hours,
        rss_kb=int(status["VmRSS"].split()[0]),
        files=len(links),
        sockets=sum(link.startswith("socket:") for link in links),
        threads=int(status["Threads"]),
        cpu_s=sum(map(int, times)) / os.sysconf("SC_CLK_TCK"),
        settled=settled,
    )


def summary(samples: list[Sample], seconds: float) -> dict[str, Any]:
    """Memory's slope after warm-up, and the extremes of the rest.

    Parameters
    ----------
    samples : list of Sample
    seconds : float
        Of which the processor's time is a share: of real time, or of audio.
    """
    warm = [sample for sample in samples if sample.hours >= WARM_UP * samples[-1].hours]
    settled = [sample for sample in samples if sample.settled]
    return {
        "samples": len(samples),
        "rss_kb": {
            "start": samples[0].rss_kb,
            "warm": warm[0].rss_kb,
            "end": samples[-1].rss_kb,
            "peak": max(sample.rss_kb for sample in samples),
        },
        "rss_kb_per_hour": _slope([sample.hours for sample in warm], [sample.rss_kb for sample in warm]),
        "settled": {name: _extremes(settled, name) for name in ("files", "sockets", "threads")},
        "cpu_share": round((samples[-1].cpu_s - samples[0].cpu_s) / seconds, 4),
    }


def median_and_worst(seconds: list[float]) -> dict[str, float] | None:
    """Of times, in seconds; None without any."""
    if not seconds:
        return None
    return {"median": round(statistics.median(seconds), 2), "worst": round(max(seconds), 2), "of": len(seconds)}


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def _extremes(samples: list[Sample], name: str) -> dict[str, int] | None:
    values = [getattr(sample, name) for sample in samples]
    return {"first": values[0], "last": values[-1], "least": min(values), "most": max(values)} if values else None


def _slope(x: list[float], y: list[int]) -> dict[str, float] | None:
    """Slope of the line of least squares, and its standard error as if the samples were independent."""
    if len(x) < FEWEST:
        return None
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return {"slope": round(float(slope), 2), "standard_error": round(float(np.sqrt(covariance[0, 0])), 2)}
