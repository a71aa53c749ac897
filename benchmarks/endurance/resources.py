"""What a process takes, from ``/proc``: memory, files, threads, processor time."""

import os
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

WARM_UP = 0.1
"""Share of a run after which memory is expected to be flat."""


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


def summary(samples: list[Sample], wall_s: float) -> dict[str, Any]:
    """Memory's slope after warm-up, and the extremes of the rest.

    Parameters
    ----------
    samples : list of Sample
    wall_s : float
        Real seconds from the first sample to the last.
    """
    warm = [sample for sample in samples if sample.hours >= WARM_UP * samples[-1].hours]
    settled = [sample for sample in samples if sample.settled]
    slope, error = _slope([sample.hours for sample in warm], [sample.rss_kb for sample in warm])
    return {
        "samples": len(samples),
        "rss_kb": {
            "start": samples[0].rss_kb,
            "warm": warm[0].rss_kb,
            "end": samples[-1].rss_kb,
            "peak": max(sample.rss_kb for sample in samples),
        },
        "rss_kb_per_hour": {"slope": slope, "standard_error": error},
        "settled": {name: _extremes(settled, name) for name in ("files", "sockets", "threads")},
        "cpu_share": round((samples[-1].cpu_s - samples[0].cpu_s) / wall_s, 4),
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


def _slope(x: list[float], y: list[int]) -> tuple[float, float]:
    """Slope of the line of least squares, and its standard error as if the samples were independent."""
    centred = np.array(x) - np.mean(x)
    spread = (centred**2).sum()
    slope = float(centred @ np.array(y) / spread)
    rest = np.array(y) - np.mean(y) - slope * centred
    return round(slope, 2), round(float(np.sqrt((rest**2).sum() / max(1, len(x) - 2) / spread)), 2)
