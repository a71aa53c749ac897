"""Feeds the same audio to two daemons faster than real time. Only one of them is subjected to faults."""

import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from audio import Audio, Samples
from daemon import PROGRAM, Inbox
from faults import Faults
from helpers.running import Running
from resources import Sample, look, summary

from kwsd.audio.source import BLOCK_SAMPLES
from kwsd.frontend import SAMPLE_RATE

SAMPLE_S = 60
"""Seconds of audio between two measurements of the daemons' resources."""

PROGRESS_S = 3600


class Listener:
    """A daemon with its events and measurements.

    Parameters
    ----------
    folder : Path
        Folder for its sockets, log and configuration.

    Attributes
    ----------
    detected : Counter
        Keyword, sample and score of each event.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self.config = folder / "config.toml"
        self.config.write_text("")
        self.daemon = Running(PROGRAM, folder, "--config", str(self.config), "--log-level", "warning")
        self.inbox = Inbox(self.daemon.subscription)
        self.detected: Counter[tuple[str, int, float]] = Counter()
        self.samples: list[Sample] = []

    def feed(self, samples: Samples) -> None:
        """Send whole blocks to the daemon. A pipe accepts each block as a whole, so no block is split."""
        pipe = self.daemon.process.stdin.fileno()
        for start in range(0, len(samples), BLOCK_SAMPLES):
            os.write(pipe, samples[start : start + BLOCK_SAMPLES].tobytes())
        self.listen()

    def listen(self, timeout_s: float = 0.0) -> None:
        """Receive events until none arrives in time."""
        for event in self.inbox.receive(timeout_s):
            self.detected[event.keyword, event.sample, event.score] += 1

    def look(self, hours: float, *, settled: bool) -> None:
        """Measure the resources of the daemon."""
        self.samples.append(look(self.daemon.process.pid, hours, settled=settled))

    def finish(self) -> int:
        """Close the input of the daemon, wait for its end, and return its exit code."""
        self.daemon.process.stdin.close()
        self.listen(timeout_s=30)
        return self.daemon.process.wait()


def run(seconds: float, fault_every_s: float, seed: int) -> dict[str, Any]:
    """Feed audio to both daemons, and return the report."""
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        faulted, spared = Listener(Path(folder) / "faulted"), Listener(Path(folder) / "spared")
        day = Day(faulted, spared, seed)
        day.run(seconds, fault_every_s)
        codes = [listener.finish() for listener in (faulted, spared)]
        log = faulted.daemon.log()
        for listener in (faulted, spared):
            listener.daemon.close()
    return {
        "mode": "day",
        "seed": seed,
        "wall_s": round(time.monotonic() - started_s),
        **day.report(),
        "refusals_logged": sum("is refused, the old one stays" in line for line in log),
        "exit_codes": codes,
    }


class Day:
    """One run over both daemons."""

    def __init__(self, faulted: Listener, spared: Listener, seed: int) -> None:
        self._listeners = (faulted, spared)
        self._audio = Audio(seed)
        self._draw = random.Random(seed)
        self._faults = Faults(faulted.daemon, faulted.config, self._pause, self._draw)
        self._fed = 0
        self._injected: list[tuple[float, str]] = []

    def run(self, seconds: float, fault_every_s: float) -> None:
        """Feed words, pauses and unusual audio, and inject faults between them."""
        fault_s = look_s = progress_s = 0.0
        for piece in self._audio.pieces():
            self._feed(piece)
            if self._audio_s >= look_s:
                look_s += SAMPLE_S
                for listener in self._listeners:
                    listener.look(self._audio_s / 3600, settled=not self._faults.stuck)
            if self._audio_s >= fault_s:
                began_s = self._audio_s
                self._injected.append((began_s, self._faults.inject()))
                fault_s = self._audio_s + self._draw.expovariate(1 / fault_every_s)
            if self._audio_s >= progress_s:
                progress_s += PROGRESS_S
                print(f"{self._audio_s / 3600:.1f} h: {self._difference()}", file=sys.stderr, flush=True)
            if self._audio_s >= seconds:
                break
        self._faults.close()

    def report(self) -> dict[str, Any]:
        """All counts."""
        faulted, spared = self._listeners
        return {
            "audio_hours": round(self._audio_s / 3600, 3),
            "words": self._audio.words,
            "faults": dict(self._faults.counts),
            **self._difference(),
            "differing": self._differing(),
            "sequence_gaps": [listener.inbox.sequence_gaps for listener in self._listeners],
            "wrong_answers": self._faults.wrong,
            "status": {"faulted": _counts(faulted), "spared": _counts(spared)},
            "resources": {
                "faulted": summary(faulted.samples, self._audio_s),
                "spared": summary(spared.samples, self._audio_s),
            },
        }

    @property
    def _audio_s(self) -> float:
        return self._fed / SAMPLE_RATE

    def _pause(self, seconds: float) -> None:
        self._feed(self._audio.pause(seconds))

    def _feed(self, samples: Samples) -> None:
        for listener in self._listeners:
            listener.feed(samples)
        self._fed += len(samples)

    def _difference(self) -> dict[str, int]:
        """The events that only one daemon has published. Equal events have the same keyword, sample and score."""
        faulted, spared = (listener.detected for listener in self._listeners)
        return {
            "events": faulted.total(),
            "events_without_faults": spared.total(),
            "missing": (spared - faulted).total(),
            "additional": (faulted - spared).total(),
        }

    def _differing(self) -> list[dict[str, Any]]:
        """Each event that only one daemon has published, with the latest fault before it, which began at `fault_s`."""
        faulted, spared = (listener.detected for listener in self._listeners)
        only = [("spared", event) for event in spared - faulted] + [("faulted", event) for event in faulted - spared]
        return [
            {"only": which, "keyword": keyword, "audio_s": sample / SAMPLE_RATE, "score": score}
            | self._fault_before(sample / SAMPLE_RATE)
            for which, (keyword, sample, score) in sorted(only, key=lambda one: one[1][1])
        ]

    def _fault_before(self, audio_s: float) -> dict[str, Any]:
        before = [(began_s, fault) for began_s, fault in self._injected if began_s <= audio_s]
        return {"fault": before[-1][1], "fault_s": before[-1][0]} if before else {}


def _counts(listener: Listener) -> dict[str, float]:
    status = listener.inbox.status
    return {
        "events": status.events,
        "windows": status.windows,
        "gaps": status.gaps,
        "dropped_blocks": status.dropped_blocks,
        "overruns": status.overruns,
    }
