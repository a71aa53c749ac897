"""Attacks a daemon by each kind of flood; the table of ``docs/internals/reliability.md``.

``python benchmarks/floods.py`` runs each attack for 60 seconds from another process. A private PulseAudio server plays
a word every five seconds meanwhile. All traffic stays on this machine. The program prints Markdown.
"""

import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from audio import ROOT

sys.path.append(str(ROOT / "tests"))

from helpers import flood
from helpers.listening import Listening
from helpers.pulse import PulseAudio, running_pulse

from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.bus.curve import ClientKeys, create_key_pair, read_client_keys
from kwsd.bus.events import KeywordEvent, decode_event

PROGRAM = str(Path(sys.executable).with_name("kwsd"))
WORD = min((ROOT / "tests" / "data" / "clips" / "stop").glob("*.flac"))

EVERY_S = 5.0
"""Seconds from one word to the next."""

WARM_UP_S = 8.0
"""Seconds in which the first word is spoken, before the memory is measured."""


@dataclass(frozen=True)
class Target:
    """A daemon, and how an attacker reaches its events.

    Parameters
    ----------
    pulse : PulseAudio
        Its sound server.
    daemon : Listening
        The daemon, with a subscription to the address under attack.
    address : str
        The event address.
    keys : list of Path
        Key files of a listed client, for a daemon with CURVE.
    """

    pulse: PulseAudio
    daemon: Listening
    address: str
    keys: list[Path]


@contextmanager
def run_target(pulse: PulseAudio, kind: str) -> Iterator[Target]:
    """Run a daemon that publishes on ``ipc``, ``tcp`` (loopback) or ``curve``."""
    with tempfile.TemporaryDirectory() as folder:
        files, address = [], f"ipc://{pulse.folder}/kwsd/events.sock"
        options: list[str | Path] = ["--log-level", "error"]
        keys: ClientKeys | None = None
        if kind != "ipc":
            host = "127.0.0.1" if kind == "tcp" else "0.0.0.0"  # noqa: S104  the machine has no open ports
            address = f"tcp://{host}:{_free_port()}"
        if kind == "curve":
            secret = create_key_pair(Path(folder), "server")
            client = create_key_pair(Path(folder) / "clients", "client")
            config = Path(folder) / "config.toml"
            config.write_text(f'curve = {{server_key = "{secret}", clients = "{client.parent}"}}\n')
            options += ["--config", config]
            files = [client, secret.with_suffix(".key")]
            keys = read_client_keys(*files)
        with closing(Listening(pulse, PROGRAM, *options, "--address", address)) as daemon:
            daemon.subscription.close()
            daemon.subscription = Subscription(address.replace("0.0.0.0", "127.0.0.1"), keys=keys)  # noqa: S104
            daemon.wait_for("listening")
            yield Target(pulse, daemon, address, files)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def measure(target: Target, attack: str, seconds: float) -> str:
    """Attack a daemon, and return the row of the table."""
    daemon = target.daemon
    listen(target, WARM_UP_S)
    before, memory_mb = send_request("status", daemon.control), memory(daemon, "VmRSS")
    Path(f"/proc/{daemon.process.pid}/clear_refs").write_text("5")  # the peak begins again (proc(5))
    address = daemon.control if attack in {each.__name__ for each in flood.TO_CONTROL} else target.address
    command = [sys.executable, flood.__file__, attack, address, *map(str, target.keys)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as attacker:
        spoken, events = listen(target, seconds)
        peak_mb = memory(daemon, "VmHWM")
        alive = attacker.poll() is None
        attacker.kill()
    after = send_request("status", daemon.control)
    worst = f"{max(events):.0f}" if events else "none"
    lost = f"{after.dropped_blocks - before.dropped_blocks}, {after.gaps - before.gaps}"
    note = "" if alive else " (the attacker gave up)"
    name, more_mb = attack.replace("_", " "), peak_mb - memory_mb
    return f"| {name}{note} | {memory_mb:.0f} | {more_mb:+.0f} | {lost} | {len(events)} of {spoken} | {worst} |"


def listen(target: Target, seconds: float) -> tuple[int, list[float]]:
    """Play words and receive their events: number of words, and milliseconds from the deciding audio to each event."""
    daemon, player = target.daemon, None
    next_s = time.monotonic()
    end_s, spoken, latencies_ms = next_s + seconds, 0, []
    while (now_s := time.monotonic()) < end_s:
        if now_s >= next_s and end_s - now_s > EVERY_S / 2:
            player = subprocess.Popen(["paplay", "--device=speaker", WORD], env=target.pulse.environment)
            spoken, next_s = spoken + 1, now_s + EVERY_S
        message = daemon.subscription.receive(timeout_s=0.2)
        arrived_s = time.time()
        event = decode_event(message.body) if message else None
        if isinstance(event, KeywordEvent):
            latencies_ms.append(event.latency_ms + 1000 * (arrived_s - event.time.timestamp()))
    if player:
        player.wait()
    return spoken, latencies_ms


def memory(daemon: Listening, key: str) -> float:
    """A figure of the daemon's memory in MB (proc(5), status)."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition(f"{key}:")[2].split()[0]) * 1024 / 1e6


def main(
    seconds: Annotated[float, typer.Option(help="Seconds of each attack.")] = 60,
    only: Annotated[str, typer.Option(help="Run only attacks whose name contains this text.")] = "",
) -> None:
    """Print the table as Markdown."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print("| attack | to | MB before | MB more, at most | blocks lost, gaps | words | ms to the event, worst |")
    print("|---" * 7 + "|")
    attacks = [("tcp", attack) for attack in flood.TO_EVENTS]
    attacks += [("ipc", attack) for attack in (flood.TO_EVENTS[0], flood.TO_EVENTS[1], *flood.TO_CONTROL)]
    attacks += [("curve", attack) for attack in (flood.half_open, flood.connections, *flood.WITH_KEY)]
    for kind, attack in attacks:
        if only in attack.__name__:
            with running_pulse() as pulse, pulse.noise(), run_target(pulse, kind) as target:
                row = measure(target, attack.__name__, seconds)
                print(row.replace(" | ", f" | {kind} | ", 1), flush=True)


if __name__ == "__main__":
    typer.run(main)
