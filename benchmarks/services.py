"""Measures the services with a real systemd. `docs/internals/reliability.md` contains the results.

Run it as root after `make test-systemd`:  .venv/bin/python benchmarks/services.py
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "systemd" / "container"))

from booted import RUNTIME, EventReader, Unit, booted, user_service


def main() -> None:
    """Print a table with the number of runs, the median and the worst time in seconds."""
    with (
        booted() as container,
        user_service(container) as service,
        EventReader(container, f"{RUNTIME}/kwsd/events.sock") as reader,
    ):
        print("measured                                                runs  median   worst")
        show("`systemctl start` until the service is active", 5, lambda: start(service))
        show("start of the service until the first audio", 5, lambda: hear(service, reader))
        show("`kill -9` until the daemon listens again", 5, lambda: recover(service, reader, "KILL"))
        show("SIGSTOP until the restarted daemon listens again", 3, lambda: recover(service, reader, "STOP"))
        show("`systemctl stop` until the service has stopped", 5, lambda: stop(service, reader))


def show(what: str, runs: int, measure: Callable[[], float]) -> None:
    """Measure several runs, and print a row of the table."""
    times = [measure() for _ in range(runs)]
    print(f"{what:55} {runs:4} {median(times):7.2f} {max(times):7.2f}", flush=True)


def start(service: Unit) -> float:
    """The time until ``systemctl start`` returns because the daemon is ready."""
    service.systemctl("stop")
    started_s = time.monotonic()
    service.systemctl("start")
    return time.monotonic() - started_s


def hear(service: Unit, reader: EventReader) -> float:
    """The time until the daemon receives its first audio."""
    service.systemctl("stop")
    reader.status("stopping")
    started_s = time.monotonic()
    service.systemctl("start")
    reader.status("listening")
    return time.monotonic() - started_s


def recover(service: Unit, reader: EventReader, signal: str) -> float:
    """The time until a restarted daemon receives its first audio."""
    run = reader.status("listening").run
    started_s = time.monotonic()
    service.systemctl("kill", f"--signal={signal}")
    reader.status("listening", after_run=run)
    return time.monotonic() - started_s


def stop(service: Unit, reader: EventReader) -> float:
    """The time until ``systemctl stop`` returns for a listening daemon."""
    service.systemctl("start")
    reader.status("listening")
    started_s = time.monotonic()
    service.systemctl("stop")
    ended_s = time.monotonic()
    reader.status("stopping")
    return ended_s - started_s


if __name__ == "__main__":
    main()
