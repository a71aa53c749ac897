"""Measures the daemon on PulseAudio in real time, its start, and the speed of ``kwsd scan``.

``python benchmarks/daemon.py`` starts a private PulseAudio server and the installed daemon, as a service manager would.
It plays recordings, and then words without pauses, which are the highest load. Then it prints a table.
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
from audio import BUILD, ROOT, make_recording

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
"""Number of starts for each start time."""

BARE = """
import sys
import sounddevice
with sounddevice.RawInputStream(samplerate=16000, blocksize=1280, channels=1, dtype="float32") as stream:
    while True:
        stream.read(int(sys.argv[1]))
"""
"""Program that reads the same audio as the daemon and does nothing with it: the lower limit for Python."""


def main(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of recordings to play in addition to words without pauses. May be repeated."),
    ] = None,
    *,
    model: Annotated[str, typer.Option(help="Name or folder of a bundle.")] = "default",
    minutes: Annotated[float, typer.Option(help="Minutes of each kind of audio in each round.")] = 0.5,
    rounds: Annotated[
        int, typer.Option(help="Rounds over all kinds of audio. Several rounds average out the load of other programs.")
    ] = 3,
    hours: Annotated[int, typer.Option(help="Length of the long recording for kwsd scan.")] = 10,
) -> None:
    """Print the results as a Markdown table."""
    print("| figure | measured: median [lowest, highest] | goal |\n|---|---|---|")
    seconds = round(60 * minutes)
    kinds = {"speech and noise": data, "words without a pause": []} if data else {"words without a pause": []}
    played = {kind: make_recording(folders, seconds) for kind, folders in kinds.items()}
    scanned = {kind: make_recording(folders) for kind, folders in kinds.items()}
    uses: dict[str, list[Use]] = defaultdict(list)
    speeds: dict[str, list[float]] = defaultdict(list)
    with running_pulse() as pulse:
        pulse.environment["KWSD_MODEL"] = model
        with _daemon(pulse) as daemon, Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as bus:
            listener = Listening(daemon.pid, bus)
            for _ in range(rounds):
                for kind, audio in played.items():
                    uses[kind].append(listener.while_played(pulse, audio))
                    listener.until(_after(2))  # the window still contains the end of the recording
                    speeds[kind].append(_scan_speed(scanned[kind], model))
                uses["digital silence"].append(listener.until(_after(seconds)))
                uses["quiet noise"].append(listener.in_noise(pulse, seconds))
            for kind, used in uses.items():
                goal = {"digital silence": "0.3 %", "quiet noise": ""}.get(kind, "0.8 %")
                wakeups = statistics.median(use.wakeups for use in used)
                cpu = _spread([100 * use.cpu for use in used], ".2f", " %")
                _row(f"CPU of the daemon on {kind}", f"{cpu} of a core, {wakeups:.0f} wake-ups per second", goal)
            _row("peak memory of the daemon", f"{_peak_mb(daemon.pid):.0f} MB", "64 MB")
            p50, p99 = np.quantile(listener.latencies_ms, [0.5, 0.99])
            count = len(listener.latencies_ms)
            _row(
                "time from the arrival of a block until a subscriber receives its event",
                f"median {p50:.1f} ms and 99th percentile {p99:.1f} ms of {count} events",
                "99th percentile 10 ms",
            )
        for blocks in (1, MAX_BATCH):
            bare = [_bare(pulse, blocks, seconds) for _ in range(rounds)]
            cpu = _spread([100 * use.cpu for use in bare], ".2f", " %")
            _row(f"CPU of a Python loop that only reads audio, {80 * blocks} ms at a time", f"{cpu} of a core", "")
        kind, audio = next(iter(played.items()))
        eight = _streams(pulse, audio, 8).cpu
        times = eight / statistics.median(use.cpu for use in uses[kind])
        _row(
            f"CPU of a daemon with eight streams of {kind}",
            f"{eight:.2%} of a core, {times:.1f} times the CPU for one stream",
            "6 times the CPU for one stream",
        )
        ready = _spread([_start_s(pulse) for _ in range(STARTS)], ".2f", " s")
        _row("time from the start of the daemon until it reports READY", ready, "0.5 s")
    _row("run time of `kwsd --help`", _spread([_run_s("--help").wall_s for _ in range(STARTS)], ".2f", " s"), "0.2 s")
    for kind, found in speeds.items():
        speed = _spread(found, ".0f", " times real time")
        _row(f"speed of `kwsd scan` on one core, on {kind}", speed, "400 times real time")
    _scan_memory(make_recording([]), model, hours)


def _after(seconds: float) -> Callable[[], bool]:
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() > end_s


class Use(NamedTuple):
    """CPU use of a process with all its threads: share of one core, and wake-ups per second."""

    cpu: float
    wakeups: float


def _used(pid: int, during: Callable[[], object]) -> Use:
    """The CPU use of a process during a function call."""
    before, started = _counts(pid), time.monotonic()
    during()
    after, seconds = _counts(pid), time.monotonic() - started
    used = [np.subtract(count, before.get(task, (0, 0))) for task, count in after.items()]
    cpu_s, wakeups = map(float, sum(used))
    return Use(cpu_s / seconds, wakeups / seconds)


class Listening:
    """Receives the events of a daemon while its CPU use is measured."""

    def __init__(self, pid: int, bus: Subscription) -> None:
        self._pid = pid
        self._bus = bus
        self.latencies_ms: list[float] = []

    def until(self, over: Callable[[], bool]) -> Use:
        """Receive events until a condition holds."""

        def listen() -> None:
            while not over():
                self._receive()

        return _used(self._pid, listen)

    def while_played(self, pulse: PulseAudio, audio: Path) -> Use:
        """Receive events while a recording plays into the microphone."""
        with subprocess.Popen(["paplay", "--device=speaker", audio], env=pulse.environment) as player:
            return self.until(lambda: player.poll() is not None)

    def in_noise(self, pulse: PulseAudio, seconds: float) -> Use:
        """Receive events while the microphone delivers quiet noise, as in a silent room."""
        with pulse.noise():
            self.until(_after(2))
            return self.until(_after(seconds))

    def _receive(self) -> None:
        message = self._bus.receive(timeout_s=0.5)
        arrived_s = time.time()
        event = events.decode_event(message.body) if message else None
        if isinstance(event, KeywordEvent):
            self.latencies_ms.append(1000 * (arrived_s - event.time.timestamp()))


def _counts(pid: int) -> dict[Path, tuple[float, int]]:
    """CPU seconds and number of wake-ups of each thread."""
    # The scheduler counts in nanoseconds. The times in proc(5) are in ticks and miss short runs.
    return {
        task: (int((task / "schedstat").read_text().split()[0]) / 1e9, _status(task, "voluntary_ctxt_switches"))
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def _bare(pulse: PulseAudio, blocks: int, seconds: float) -> Use:
    """The CPU use of a program that only reads audio."""
    with pulse.client(sys.executable, "-c", BARE, str(blocks * BLOCK_SAMPLES)) as reader:
        time.sleep(5)  # the program starts
        return _used(reader.pid, lambda: time.sleep(seconds))


def _streams(pulse: PulseAudio, audio: Path, count: int) -> Use:
    """The CPU use of a daemon with several streams, which all record from the same microphone."""
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
    """A daemon that has reported that it is ready."""
    path = pulse.folder / "notify-kwsd"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        environment = pulse.environment | {"NOTIFY_SOCKET": str(path)}
        with subprocess.Popen([KWSD_DAEMON], env=environment | {"KWSD_LOG_LEVEL": "error"} | settings) as daemon:
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
                # From now on nobody reads its notifications. The daemon ignores this.
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
    # Read while the process runs: the peak memory from wait(2) includes that of the parent before exec.
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        with suppress(IndexError):  # the process has just ended
            peak_mb = max(peak_mb, _peak_mb(process.pid))
        time.sleep(0.01)
    wall_s = time.monotonic() - started
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"kwsd {arguments[0]} failed")
    return Run(wall_s, used.ru_utime + used.ru_stime, peak_mb)


def _scan_speed(audio: Path, model: str) -> float:
    """The speed of ``kwsd scan`` on ten minutes of audio: the median of three runs."""
    seconds = soundfile.info(audio).duration
    return statistics.median(seconds / _run_s("scan", "--model", model, audio).cpu_s for _ in range(3))


def _scan_memory(audio: Path, model: str, hours: int) -> None:
    """Print the memory of ``kwsd scan`` on ten minutes and on the long recording."""
    samples, _ = soundfile.read(audio, dtype="int16")
    long = BUILD / "audio-long.wav"
    with soundfile.SoundFile(long, "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for _ in range(round(hours * 3600 * SAMPLE_RATE / len(samples))):
            file.write(samples)
    short_mb, long_mb = (_run_s("scan", "--model", model, path).peak_mb for path in (audio, long))
    long.unlink()
    _row(
        f"peak memory of `kwsd scan` on ten minutes and on {hours} h of audio",
        f"{short_mb:.0f} MB for ten minutes, {long_mb:.0f} MB for {hours} h",
        "equal for both lengths",
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
