"""Real time: plays words into a microphone that fails, freezes or is replaced while a daemon listens to it."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from daemon import PROGRAM, Inbox
from helpers.pulse import PulseAudio, running_pulse
from resources import Sample, look, median_and_worst, summary
from words import Clip, reliable_clips

from kwsd.bus.client import Subscription

PAUSE_S = (2.0, 6.0)
"""Minimum and maximum pause between two words. It is long enough to assign each event to the previous word."""

CUT_SHARE = 0.3
"""Share of the sound server's faults that occur in the middle of a word."""

POLL_S = 0.05

SAMPLE_S = 5.0
PROGRESS_S = 600.0

SETTLED_S = 3.0
"""Seconds after a fault until its files are closed."""

PATIENCE_S = 30.0
"""Maximum wait for an expected state. After it the run ends with an error."""


@dataclass
class Played:
    """A word that was played, and the keywords that the daemon detected.

    Parameters
    ----------
    word : str
        The word in the recording.
    started_s, ended_s : float
        Start and end of the playback, from ``time.monotonic()``.
    cut : bool
        Whether a fault interrupted the word, so that the daemon may miss it.
    detected : list of str
        Keywords of the events from the start of this word to the start of the next.
    """

    word: str
    started_s: float
    ended_s: float = 0.0
    cut: bool = False
    detected: list[str] = field(default_factory=list)


def run(seconds: float, fault_every_s: float, only: str | None, seed: int) -> dict[str, Any]:
    """Run a session, and return its report."""
    clips = reliable_clips()
    with running_pulse() as pulse, Subscription(f"ipc://{pulse.folder}/kwsd/events.sock") as subscription:
        with subprocess.Popen([PROGRAM, "run", "--device", "default"], env=pulse.environment) as daemon:
            try:
                session = Session(pulse, subscription, daemon, clips, random.Random(seed))
                session.run(seconds, fault_every_s, only)
            finally:
                daemon.terminate()
        return {"mode": "live", "seed": seed, "clips": len(clips), **session.report(), "exit_code": daemon.returncode}


class Session:
    """One run: plays words, injects faults, and meanwhile receives events and measures the daemon."""

    def __init__(
        self,
        pulse: PulseAudio,
        subscription: Subscription,
        daemon: subprocess.Popen[bytes],
        clips: list[Clip],
        draw: random.Random,
    ) -> None:
        self._pulse = pulse
        self._inbox = Inbox(subscription)
        self._daemon = daemon
        self._clips = clips
        self._draw = draw
        self._speaker = "speaker"
        self._others = ExitStack()
        self._visitors = 0
        self._other_module = ""
        self._busy_until_s = 0.0
        self._state = ""
        self._state_s = 0.0
        self._played: list[Played] = []
        self._ids: list[str] = []
        self._faults: dict[str, int] = {}
        self._to_lost: dict[str, list[float]] = {"kill": [], "freeze": []}
        self._to_listening: dict[str, list[float]] = {"kill": [], "freeze": []}
        self._samples: list[Sample] = []
        self._started_s = self._said_s = time.monotonic()

    def run(self, seconds: float, fault_every_s: float, only: str | None) -> None:
        """Play words for some time, with faults of all kinds or of one kind."""
        self._until("listening")
        self._samples.clear()
        self._started_s = self._said_s = time.monotonic()
        end_s = self._started_s + seconds
        faults = self._fault_order(only)
        fault_s = self._started_s + self._draw.expovariate(1 / fault_every_s)
        while time.monotonic() < end_s:
            if time.monotonic() >= fault_s:
                self._others.close()
                self._visitors = 0
                self._busy_until_s = time.monotonic() + SETTLED_S
                next(faults)()
                # Buffers may still contain part of an interrupted word. The daemon processes it before the next word.
                self._wait(PAUSE_S[0])
                fault_s = time.monotonic() + self._draw.expovariate(1 / fault_every_s)
            self._speak()
            self._wait(self._draw.uniform(*PAUSE_S))
            self._say_progress()
        self._others.close()

    def report(self) -> dict[str, Any]:
        """All counts and times."""
        whole = [played for played in self._played if not played.cut]
        wrong = [played for played in self._played if set(played.detected) - {played.word}]
        wall_s = time.monotonic() - self._started_s
        status = self._inbox.status
        return {
            "hours": round(wall_s / 3600, 3),
            "faults": self._faults,
            "words": len(whole),
            "events": len(self._ids),
            "missing": sum(played.word not in played.detected for played in whole),
            "duplicated": sum(max(0, played.detected.count(played.word) - 1) for played in self._played),
            "unexpected": sum(len([word for word in played.detected if word != played.word]) for played in wrong),
            "cut_words": len(self._played) - len(whole),
            "events_of_cut_words": sum(len(played.detected) for played in self._played if played.cut),
            "same_id_twice": len(self._ids) - len(set(self._ids)),
            "sequence_gaps": self._inbox.sequence_gaps,
            "seconds_to_lost": {kind: median_and_worst(times) for kind, times in self._to_lost.items()},
            "seconds_to_listening": {kind: median_and_worst(times) for kind, times in self._to_listening.items()},
            "reconnects": status.reconnects,
            "gaps": status.gaps,
            "dropped_blocks": status.dropped_blocks,
            "resources": summary(self._samples, wall_s),
            "faulty_words": [
                {
                    "word": played.word,
                    "hour": round((played.started_s - self._started_s) / 3600, 4),
                    "detected": played.detected,
                }
                for played in self._played
                if not played.cut and played.detected != [played.word]
            ],
        }

    def _fault_order(self, only: str | None) -> Iterator[Callable[[], None]]:
        kinds = [self._kill, self._freeze, self._blink, self._change_default, self._visit, self._visit_stuck]
        while True:
            for fault in self._draw.sample(kinds, len(kinds)):
                name = fault.__name__.removeprefix("_")
                if only not in {None, name}:
                    continue
                self._faults[name] = self._faults.get(name, 0) + 1
                print(f"fault: {name}", file=sys.stderr, flush=True)
                yield fault

    def _kill(self) -> None:
        """Kill the sound server, sometimes in the middle of a word, and start it again."""
        self._interrupt(self._pulse.kill)
        self._measure("lost", self._to_lost["kill"])
        self._wait(self._draw.uniform(0.1, 15))
        self._pulse.start()
        self._speaker = "speaker"
        self._measure("listening", self._to_listening["kill"])

    def _freeze(self) -> None:
        """Freeze the sound server for less than 15 s, because after 15 s the daemon exits for a restart by systemd."""
        self._interrupt(lambda: self._pulse.signal(signal.SIGSTOP))
        self._measure("lost", self._to_lost["freeze"])
        self._wait(self._draw.uniform(0.1, 8))
        self._pulse.signal(signal.SIGCONT)
        self._measure("listening", self._to_listening["freeze"])

    def _blink(self) -> None:
        """Freeze the sound server so briefly that the daemon does not report it."""
        self._pulse.signal(signal.SIGSTOP)
        self._wait(self._draw.uniform(0.1, 1.5))
        self._pulse.signal(signal.SIGCONT)

    def _change_default(self) -> None:
        """Add another default source, or remove it again. The next word is played into the default source."""
        if self._speaker == "speaker":
            self._other_module = self._pactl(
                "load-module", "module-null-sink", "sink_name=other", "rate=44100", "channels=2"
            )
            self._pactl("set-default-source", "other.monitor")
            self._speaker = "other"
        else:
            self._pactl("unload-module", self._other_module)
            self._speaker = "speaker"

    def _visit(self) -> None:
        """Start subscribers, which are killed at the next fault."""
        self._visitors = self._draw.randint(1, 5)
        for _ in range(self._visitors):
            self._others.enter_context(self._pulse.client(PROGRAM, "listen"))

    def _visit_stuck(self) -> None:
        """Start subscribers that stop reading. They are killed at the next fault."""
        self._visitors = 3
        visitors = [self._others.enter_context(self._pulse.client(PROGRAM, "listen")) for _ in range(self._visitors)]
        self._wait(2)
        for visitor in visitors:
            visitor.send_signal(signal.SIGSTOP)

    def _interrupt(self, fault: Callable[[], object]) -> None:
        """Inject a fault in a pause or in the middle of a word."""
        if self._draw.random() < CUT_SHARE:
            self._speak(fault)
        else:
            fault()

    def _speak(self, fault: Callable[[], object] | None = None) -> None:
        clip = self._draw.choice(self._clips)
        played = Played(clip.word, time.monotonic(), cut=fault is not None)
        self._played.append(played)
        with self._pulse.client("paplay", f"--device={self._speaker}", clip.path) as player:
            if fault:
                self._wait(self._draw.uniform(0.1, 0.9))
                fault()
            else:
                self._wait(PATIENCE_S, until=lambda: player.poll() is not None)
                if player.returncode != 0:
                    raise RuntimeError(f"paplay ended with {player.returncode}")

    def _measure(self, state: str, seconds: list[float]) -> None:
        started_s = time.monotonic()
        self._until(state)
        seconds.append(self._state_s - started_s)

    def _until(self, state: str) -> None:
        self._wait(PATIENCE_S, until=lambda: self._state == state)
        if self._state != state:
            raise RuntimeError(f"the daemon is {self._state or 'silent'}, not {state}")
        self._busy_until_s = time.monotonic() + SETTLED_S

    def _wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait, receive events, and measure the daemon at regular intervals."""
        end_s = time.monotonic() + seconds
        while not until() and (left_s := end_s - time.monotonic()) > 0:
            for event in self._inbox.receive(min(left_s, POLL_S)):
                self._ids.append(event.id)
                self._played[-1].detected.append(event.keyword)
            if self._inbox.state != self._state:
                self._state, self._state_s = self._inbox.state, time.monotonic()
            hours = (time.monotonic() - self._started_s) / 3600
            if not self._samples or hours - self._samples[-1].hours >= SAMPLE_S / 3600:
                self._samples.append(look(self._daemon.pid, hours, settled=self._settled()))

    def _settled(self) -> bool:
        return self._state == "listening" and not self._visitors and time.monotonic() > self._busy_until_s

    def _pactl(self, *arguments: str) -> str:
        return subprocess.run(
            ["pactl", *arguments], env=self._pulse.environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def _say_progress(self) -> None:
        if time.monotonic() - self._said_s >= PROGRESS_S:
            self._said_s = time.monotonic()
            print(json.dumps(self.report()), file=sys.stderr, flush=True)
