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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import soundfile
import typer
from audio import BUILD, ROOT, recording

from kwsd import events
from kwsd.capture import JOINED_BLOCKS
from kwsd.client import Subscription
from kwsd.events import KeywordEvent
from kwsd.frontend import SAMPLE_RATE
from kwsd.sources import BLOCK_SAMPLES

sys.path.append(str(ROOT / "tests" / "audio"))
from pulse import PulseAudio, running_pulse

KWSD = Path(sys.executable).with_name("kwsd")

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
    minutes: Annotated[float, typer.Option(help="Real time to listen to each kind of audio.")] = 1,
    starts: Annotated[int, typer.Option(help="Times to start anything that is timed.")] = 10,
    hours: Annotated[int, typer.Option(help="Length of the long recording that is scanned.")] = 10,
) -> None:
    """Print the figures as Markdown."""
    print("| figure | measured | goal |\n|---|---|---|")
    kinds = {"speech and noise": data, "words without a pause": []} if data else {"words without a pause": []}
    with running_pulse() as pulse:
        pulse.environment["KWSD_MODEL"] = model
        with _daemon(pulse) as daemon, Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as bus:
            heard = Listening(daemon.pid, bus)
            used = {}
            for kind, folders in kinds.items():
                used[kind] = heard.while_played(pulse, recording(folders, round(60 * minutes)))
                heard.until(_after(2))  # the end of the recording is still in the window
            silence = heard.until(_after(60 * minutes))
            for kind, use in used.items():
                figure = f"{use.cpu:.2%} of a core, {use.wakeups:.0f} wake-ups a second"
                _row(f"daemon on {kind}, CPU", figure, "0.8 %")
            _row("daemon in digital silence, CPU", f"{silence.cpu:.2%}, {silence.wakeups:.0f} wake-ups", "0.3 %")
            _row(
                "its three threads of audio in digital silence, CPU",
                ", ".join(f"{cpu:.2%}" for cpu in silence.threads[:3]),
                "",
            )
            quiet = heard.in_noise(pulse, 60 * minutes)
            _row("daemon in quiet noise, CPU", f"{quiet.cpu:.2%}, {quiet.wakeups:.0f} wake-ups", "")
            _row("daemon, peak memory", f"{_peak_mb(daemon.pid):.0f} MB", "64 MB")
            p50, p99 = np.quantile(heard.latencies_ms, [0.5, 0.99])
            count = len(heard.latencies_ms)
            _row("block arrived to event received", f"median {p50:.1f} ms, p99 {p99:.1f} ms of {count}", "p99 10 ms")
        for blocks in (1, JOINED_BLOCKS):
            bare = _bare(pulse, blocks, 60 * minutes)
            figure = f"a loop of Python that only reads, {80 * blocks} ms at a time, CPU"
            _row(figure, f"{bare.cpu:.2%}, {bare.wakeups:.0f} wake-ups", "")
        kind, folders = next(iter(kinds.items()))
        eight = _streams(pulse, recording(folders, round(60 * minutes)), 8)
        times = f"{eight.cpu:.2%} of a core, {eight.cpu / used[kind].cpu:.1f} times one"
        _row(f"eight streams of {kind}, CPU", times, "6 times one")
        _row("start to READY, median [least, most]", _spread([_start_s(pulse) for _ in range(starts)]), "0.5 s")
    _row("`kwsd --help`, median [least, most]", _spread([_run_s("--help").wall_s for _ in range(starts)]), "0.2 s")
    for kind, folders in kinds.items():
        _scan_speed(kind, recording(folders), model)
    _scan_memory(recording([]), model, hours)


def _after(seconds: float) -> Callable[[], bool]:
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() > end_s


class Use(NamedTuple):
    """What a process used: share of one core by thread, most first, and wake-ups of all of them a second."""

    threads: list[float]
    wakeups: float

    @property
    def cpu(self) -> float:
        """Share of one core."""
        return sum(self.threads)


def _used(pid: int, during: Callable[[], object]) -> Use:
    """What a process uses while something is done."""
    before, started = _counts(pid), time.monotonic()
    during()
    after, seconds = _counts(pid), time.monotonic() - started
    used = [np.subtract(count, before.get(task, (0, 0))) / seconds for task, count in after.items()]
    return Use(sorted((float(cpu) for cpu, _ in used), reverse=True), float(sum(used)[1]))


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
        event = events.decode(message.body) if message else None
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
        _daemon(pulse, "--config", config) as daemon,
        Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as bus,
    ):
        return Listening(daemon.pid, bus).while_played(pulse, audio)


@contextmanager
def _daemon(pulse: PulseAudio, *options: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that has said that it is ready."""
    path = pulse.folder / "notify-kwsd"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        environment = pulse.environment | {"NOTIFY_SOCKET": str(path)}
        with subprocess.Popen([KWSD, "run", "--log-level", "error", *options], env=environment) as daemon:
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


def _scan_speed(kind: str, audio: Path, model: str) -> None:
    """Speed of ``kwsd scan`` on ten minutes."""
    seconds = soundfile.info(audio).duration
    speeds = [seconds / _run_s("scan", "--model", model, audio).cpu_s for _ in range(5)]
    figure = f"{statistics.median(speeds):.0f} [{min(speeds):.0f}, {max(speeds):.0f}] times real time"
    _row(f"`kwsd scan`, one core, on {kind}", figure, "400 times")


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


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s [{min(seconds):.2f}, {max(seconds):.2f}]"


if __name__ == "__main__":
    if shutil.which("pulseaudio") is None:
        raise SystemExit("install pulseaudio and pulseaudio-utils first")
    typer.run(main)
