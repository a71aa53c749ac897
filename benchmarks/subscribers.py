"""Measures the cost of subscribers and requests; the second table of faults in ``docs/internals/reliability.md``.

``python benchmarks/subscribers.py`` plays words to a daemon on a private PulseAudio server while other programs use the
daemon's sockets. It prints Markdown.
"""

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import zmq
from audio import ROOT, make_recording

sys.path.append(str(ROOT / "tests"))

from helpers.crowd import READ, STUCK, crowd
from helpers.listening import Listening
from helpers.pulse import running_pulse

from kwsd.bus.control import send_request
from kwsd.bus.events import KeywordEvent, decode_event

PROGRAM = str(Path(sys.executable).with_name("kwsd"))

MANY = 1000

FLOOD = 4000
"""Number of requests that fills the queue of a subscriber that does not read: each publishes a status."""

WAVES_S = 3.0
"""Seconds between one group of a thousand subscribers and the next."""


@dataclass(frozen=True)
class Cost:
    """The resources that the daemon used while it listened.

    Parameters
    ----------
    main_cpu, cpu : float
        Share of a core that the main thread used, and that all threads used.
    memory_mb : float
        Resident memory at the end.
    latencies_ms : list of float
        Time from the arrival of a block to the arrival of its event at the subscriber.
    lost_blocks, gaps : int
        Number of dropped audio blocks, and of gaps in the audio.
    """

    main_cpu: float
    cpu: float
    memory_mb: float
    latencies_ms: list[float]
    lost_blocks: int
    gaps: int


@contextmanager
def coming_and_going(daemon: Listening) -> Iterator[None]:
    """A thousand subscribers that are killed after some seconds, repeatedly."""
    over = threading.Event()

    def waves() -> None:
        while not over.is_set():
            with crowd(daemon.subscription.address, MANY, READ):
                over.wait(WAVES_S)

    with _beside(waves, over):
        yield


@contextmanager
def requests(daemon: Listening) -> Iterator[None]:
    """Requests as fast as the daemon replies. Every second one is malformed."""
    over = threading.Event()

    def flood() -> None:
        with zmq.Context() as context, closing(context.socket(zmq.DEALER)) as client:
            client.linger = 0
            client.connect(daemon.control)
            while not over.is_set():
                client.send_multipart([b"", b'{"command": "status"}'])
                client.send_multipart([b"", os.urandom(1000)])
                for _ in range(2):
                    client.recv_multipart()

    with _beside(flood, over):
        yield


@contextmanager
def stuck(daemon: Listening) -> Iterator[None]:
    """A thousand subscribers that do not read, so that their queues are full."""
    with crowd(daemon.subscription.address, MANY, STUCK):
        with zmq.Context() as context, closing(context.socket(zmq.DEALER)) as client:
            client.sndhwm = client.rcvhwm = 0
            client.connect(daemon.control)
            for _ in range(FLOOD):
                client.send_multipart([b"", b'{"command": "status"}'])
            for _ in range(FLOOD):
                client.recv_multipart()
        yield


def reading(daemon: Listening) -> AbstractContextManager[object]:
    """A thousand subscribers that read everything."""
    return crowd(daemon.subscription.address, MANY, READ)


@contextmanager
def _beside(work: Callable[[], None], over: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


CONDITIONS: tuple[tuple[str, Callable[[Listening], AbstractContextManager[object]]], ...] = (
    ("one subscriber and no other load", lambda _daemon: nullcontext()),
    ("1,000 more subscribers that read all events", reading),
    ("1,000 more subscribers that hang, with full queues", stuck),
    (f"1,000 more subscribers, repeatedly killed after {WAVES_S:g} s and started again", coming_and_going),
    ("endless requests, of which every second one is malformed", requests),
)


def measure_cost(daemon: Listening, player: "subprocess.Popen[str]") -> Cost:
    """Measure the daemon and receive its events until the player ends."""
    before, started_s = send_request("status", daemon.control), time.monotonic()
    main_s, all_s = _cpu_s(daemon)
    latencies_ms = []
    while player.poll() is None:
        message = daemon.subscription.receive(timeout_s=0.5)
        arrived_s = time.time()
        event = decode_event(message.body) if message else None
        if isinstance(event, KeywordEvent):
            latencies_ms.append(1000 * (arrived_s - event.time.timestamp()))
    seconds = time.monotonic() - started_s
    main_after_s, all_after_s = _cpu_s(daemon)
    after = send_request("status", daemon.control)
    return Cost(
        (main_after_s - main_s) / seconds,
        (all_after_s - all_s) / seconds,
        _memory_mb(daemon),
        latencies_ms,
        after.dropped_blocks - before.dropped_blocks,
        after.gaps - before.gaps,
    )


def _cpu_s(daemon: Listening) -> tuple[float, float]:
    """CPU time of the main thread and of all threads, as the scheduler counts it."""
    tasks = Path(f"/proc/{daemon.process.pid}/task")
    used = {task.name: int((task / "schedstat").read_text().split()[0]) / 1e9 for task in tasks.iterdir()}
    return used[str(daemon.process.pid)], sum(used.values())


def _memory_mb(daemon: Listening) -> float:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 / 1e6


def format_row(name: str, cost: Cost) -> str:
    """One row of the table."""
    times = cost.latencies_ms
    latency = f"median {statistics.median(times):.1f}, worst {max(times):.1f} ({len(times)} events)"
    cpu = f"{cost.main_cpu:.1%} / {cost.cpu:.1%}"
    return f"| {name} | {cpu} | {latency} | {cost.lost_blocks} / {cost.gaps} | {cost.memory_mb:.0f} |"


def main(seconds: Annotated[int, typer.Option(help="Seconds of speech for each condition.")] = 60) -> None:
    """Print the table as Markdown."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    speech = make_recording([], seconds)
    print("| load | CPU of the main thread / of all threads | ms from block to event", end="")
    print(" | lost blocks / gaps | memory, MB |\n|---|---|---|---|---|")
    for name, condition in CONDITIONS:
        with running_pulse() as pulse, closing(Listening(pulse, PROGRAM, "--log-level", "error")) as daemon:
            daemon.wait_for("listening")
            with condition(daemon), pulse.client("paplay", "--device=speaker", speech) as player:
                print(format_row(name, measure_cost(daemon, player)), flush=True)


if __name__ == "__main__":
    typer.run(main)
