"""Reads the resources of a process from ``/proc``: memory, files, threads and CPU time."""

import os
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WARM_UP = 0.1
"""Share of a run that counts as warm-up. After it, the memory should not grow."""

FEWEST = 4
"""Minimum number of samples for the estimate of a slope and its error."""


class Sample(NamedTuple):
    """The resources of a process at one moment.

    Parameters
    ----------
    hours : float
        Hours since the start of the run, in real time or in audio.
    rss_kb, files, sockets, threads : int
        Resident memory, open files including sockets, open sockets, and threads.
    cpu_s : float
        CPU time since the start of the process.
    settled : bool
        Whether no fault and no extra subscriber, which open further files, was active.
    """

    hours: float
    rss_kb: int
    files: int
    sockets: int
    threads: int
    cpu_s: float
    settled: bool


def look(pid: int, hours: float, *, settled: bool) -> Sample:
    """Measure a running process."""
    process = Path("/proc") / str(pid)
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    links = [_target(entry) for entry in (process / "fd").iterdir()]
    # Field 2 is the name in brackets and can contain spaces. Fields 14 and 15 are user and system time.
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
    """The slope of the memory after the warm-up, and the extremes of the other resources.

    Parameters
    ----------
    samples : list of Sample
        Measurements in the order of time.
    seconds : float
        Length of the run in real time or in audio, for the share of CPU time.
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
    """The median and the maximum of times in seconds, or None without times."""
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
    """The slope of a least-squares line, and its standard error under the assumption of independent samples."""
    if len(x) < FEWEST:
        return None
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return {"slope": round(float(slope), 2), "standard_error": round(float(np.sqrt(covariance[0, 0])), 2)}
