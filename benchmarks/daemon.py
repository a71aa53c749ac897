"""What the daemon costs while it listens to PulseAudio in real time, how fast it starts, and what ``kwsd scan`` does.

``python benchmarks/daemon.py`` starts a PulseAudio server of its own and the installed daemon on it, as a service
manager would; plays recordings to it, and words without a pause, the most that it ever has to do; and prints a table.
"""

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import soundfile
import typer
from audio import BUILD, ROOT, recording

from kwsd.audio.source import BLOCK_SAMPLES, MAX_BATCH
from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent
from kwsd.frontend import SAMPLE_RATE

sys.path.append(str(ROOT / "tests"))
from helpers.pulse import PulseAudio, running_pulse

KWSD = Path(sys.executable).with_name("kwsd")
KWSD_DAEMON = Path(sys.executable).with_name("kwsd-daemon")

STARTS = 10
"""Times to start anything whose start is timed."""

BARE = """
import sys
import sounddevice
with sounddevice.RawInputStream(samplerate=16000, blocksize=1280, channels=1, dtype="float32") as stream:
    while True:
        stream.read(int(sys.argv[1]))
"""
"""The least that a program in Python does to hear what the daemon hears: nothing with what it reads."""


def main(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of speech and noise to listen to, besides words without a pause; may be repeated."),
    ] = None,
    *,
    model: Annotated[str, typer.Option(help="Name or folder of a bundle.")] = "default",
    minutes: Annotated[float, typer.Option(help="Real time to listen to each kind of audio, in each round.")] = 0.5,
    rounds: Annotated[int, typer.Option(help="Times to listen to each kind, in turn: others use the machine too.")] = 3,
    hours: Annotated[int, typer.Option(help="Length of the long recording that is scanned.")] = 10,
) -> None:
    """Print the figures as Markdown."""
    print("| figure | measured, median [least, most] | goal |\n|---|---|---|")
    seconds = round(60 * minutes)
    kinds = {"speech and noise": data, "words without a pause": []} if data else {"words without a pause": []}
    played = {kind: recording(folders, seconds) for kind, folders in kinds.items()}
    scanned = {kind: recording(folders) for kind, folders in kinds.items()}
    uses: dict[str, list[Use]] = defaultdict(list)
    speeds: dict[str, list[float]] = defaultdict(list)
    with running_pulse() as pulse:
        pulse.environment["KWSD_MODEL"] = model
        with _daemon(pulse) as daemon, Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as bus:
            heard = Listening(daemon.pid, bus)
            for _ in range(rounds):
                for kind, audio in played.items():
                    uses[kind].append(heard.while_played(pulse, audio))
                    heard.until(_after(2))  # the end of the recording is still in the window
                    speeds[kind].append(_scan_speed(scanned[kind], model))
                uses["digital silence"].append(heard.until(_after(seconds)))
                uses["quiet noise"].append(heard.in_noise(pulse, seconds))
            for kind, used in uses.items():
                goal = {"digital silence": "0.3 %", "quiet noise": ""}.get(kind, "0.8 %")
                wakeups = statistics.median(use.wakeups for use in used)
                cpu = _spread([100 * use.cpu for use in used], ".2f", " %")
                _row(f"daemon on {kind}, CPU", f"{cpu} of a core, {wakeups:.0f} wake-ups a second", goal)
            _row("daemon, peak memory", f"{_peak_mb(daemon.pid):.0f} MB", "64 MB")
            p50, p99 = np.quantile(heard.latencies_ms, [0.5, 0.99])
            count = len(heard.latencies_ms)
            _row("block arrived to event received", f"median {p50:.1f} ms, p99 {p99:.1f} ms of {count}", "p99 10 ms")
        for blocks in (1, MAX_BATCH):
            bare = [_bare(pulse, blocks, seconds) for _ in range(rounds)]
            cpu = _spread([100 * use.cpu for use in bare], ".2f", " %")
            _row(f"a loop of Python that only reads, {80 * blocks} ms at a time, CPU", f"{cpu} of a core", "")
        kind, audio = next(iter(played.items()))
        eight = _streams(pulse, audio, 8).cpu
        times = eight / statistics.median(use.cpu for use in uses[kind])
        _row(f"eight streams of {kind}, CPU", f"{eight:.2%} of a core, {times:.1f} times one", "6 times one")
        _row("start to READY", _spread([_start_s(pulse) for _ in range(STARTS)], ".2f", " s"), "0.5 s")
    _row("`kwsd --help`", _spread([_run_s("--help").wall_s for _ in range(STARTS)], ".2f", " s"), "0.2 s")
    for kind, found in speeds.items():
        _row(f"`kwsd scan`, one core, on {kind}", _spread(found, ".0f", " times real time"), "400 times")
    _scan_memory(recording([]), model, hours)


def _after(seconds: float) -> Callable[[], bool]:
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() > end_s


class Use(NamedTuple):
    """What a process used: share of one core, and wake-ups a second, of all its threads."""

    cpu: float
    wakeups: float


def _used(pid: int, during: Callable[[], object]) -> Use:
    """What a process uses while something is done."""
    before, started = _counts(pid), time.monotonic()
    during()
    after, seconds = _counts(pid), time.monotonic() - started
    used = [np.subtract(count, before.get(task, (0, 0))) for task, count in after.items()]
    cpu_s, wakeups = map(float, sum(used))
    return Use(cpu_s / seconds, wakeups / seconds)


class Listening:
    """Receives the events of a daemon while what it uses is counted."""

    def __init__(self, pid: int, bus: Subscription) -> None:
        self._pid = pid
        self._bus = bus
        self.latencies_ms: list[float] = []

    def until(self, over: Callable[[], bool]) -> Use:
        """Receive until something is so."""

        def listen() -> None:
            while not over():
                self._receive()

        return _used(self._pid, listen)

    def while_played(self, pulse: PulseAudio, audio: Path) -> Use:
        """Receive until a recording has been played into the microphone."""
        with subprocess.Popen(["paplay", "--device=speaker", audio], env=pulse.environment) as player:
            return self.until(lambda: player.poll() is not None)

    def in_noise(self, pulse: PulseAudio, seconds: float) -> Use:
        """Receive for some time while the microphone hears what every microphone hears in silence."""
        with pulse.noise():
            self.until(_after(2))
            return self.until(_after(seconds))

    def _receive(self) -> None:
        message = self._bus.receive(timeout_s=0.5)
        arrived_s = time.time()
        event = events.decode_event(message.body) if message else None
        if isinstance(event, KeywordEvent):
            self.latencies_ms.append(event.latency_ms + 1000 * (arrived_s - event.time.timestamp()))


def _counts(pid: int) -> dict[Path, tuple[float, int]]:
    """Seconds on a core, and wake-ups, of each thread."""
    # The scheduler's own count, in nanoseconds: that of proc(5) goes by ticks, which short runs slip through.
    return {
        task: (int((task / "schedstat").read_text().split()[0]) / 1e9, _status(task, "voluntary_ctxt_switches"))
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def _bare(pulse: PulseAudio, blocks: int, seconds: float) -> Use:
    """What a program uses that only reads."""
    with pulse.client(sys.executable, "-c", BARE, str(blocks * BLOCK_SAMPLES)) as reader:
        time.sleep(5)  # it starts
        return _used(reader.pid, lambda: time.sleep(seconds))


def _streams(pulse: PulseAudio, audio: Path, count: int) -> Use:
    """What a daemon uses that hears a recording in several streams: connections of their own to the same microphone."""
    names = [f"stream{number}" for number in range(count)]
    pulse.add_devices(dict.fromkeys(names, 'device "speaker.monitor"'))
    config = pulse.folder / "streams.toml"
    config.write_text("".join(f'[[stream]]\nname = "{name}"\ndevice = "{name}"\n' for name in names))
    with (
        _daemon(pulse, KWSD_CONFIG=str(config)) as daemon,
        Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as bus,
    ):
        return Listening(daemon.pid, bus).while_played(pulse, audio)


@contextmanager
def _daemon(pulse: PulseAudio, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that has said that it is ready."""
    path = pulse.folder / "notify-kwsd"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        environment = pulse.environment | {"NOTIFY_SOCKET": str(path)}
        with subprocess.Popen([KWSD_DAEMON], env=environment | {"KWSD_LOG_LEVEL": "error"} | settings) as daemon:
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
                # From here on it finds nobody at its socket, which it does not mind.
                path.unlink()
                yield daemon
            finally:
                daemon.send_signal(signal.SIGTERM)


def _start_s(pulse: PulseAudio) -> float:
    started = time.monotonic()
    with _daemon(pulse):
        return time.monotonic() - started


class Run(NamedTuple):
    """One run of a command."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def _run_s(*arguments: str | Path) -> Run:
    started = time.monotonic()
    process = subprocess.Popen([KWSD, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak_mb = 0.0
    # Looked at while it runs: what wait(2) tells of memory counts the parent's, from before exec.
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        with suppress(IndexError):  # it has just ended
            peak_mb = max(peak_mb, _peak_mb(process.pid))
        time.sleep(0.01)
    wall_s = time.monotonic() - started
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"kwsd {arguments[0]} failed")
    return Run(wall_s, used.ru_utime + used.ru_stime, peak_mb)


def _scan_speed(audio: Path, model: str) -> float:
    """Speed of ``kwsd scan`` on ten minutes: the middle one of three runs."""
    seconds = soundfile.info(audio).duration
    return statistics.median(seconds / _run_s("scan", "--model", model, audio).cpu_s for _ in range(3))


def _scan_memory(audio: Path, model: str, hours: int) -> None:
    """Memory of ``kwsd scan`` on ten minutes and on a whole day's file."""
    samples, _ = soundfile.read(audio, dtype="int16")
    long = BUILD / "audio-long.wav"
    with soundfile.SoundFile(long, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for _ in range(round(hours * 3600 * SAMPLE_RATE / len(samples))):
            file.write(samples)
    short_mb, long_mb = (_run_s("scan", "--model", model, path).peak_mb for path in (audio, long))
    long.unlink()
    _row(
        f"`kwsd scan`, peak memory on ten minutes and on {hours} h",
        f"{short_mb:.0f} MB and {long_mb:.0f} MB",
        "the same",
    )


def _status(process: Path, field: str) -> int:
    return int((process / "status").read_text().partition(f"\n{field}:")[2].split()[0])


def _peak_mb(pid: int) -> float:
    return _status(Path(f"/proc/{pid}"), "VmHWM") * 1024 / 1e6


def _row(figure: str, measured: str, goal: str) -> None:
    print(f"| {figure} | {measured} | {goal} |", flush=True)


def _spread(figures: list[float], form: str, unit: str) -> str:
    median, least, most = (format(each, form) for each in (statistics.median(figures), min(figures), max(figures)))
    return f"{median} [{least}, {most}]{unit}"


if __name__ == "__main__":
    if shutil.which("pulseaudio") is None:
        raise SystemExit("install pulseaudio and pulseaudio-utils first")
    typer.run(main)
