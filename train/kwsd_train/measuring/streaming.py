"""How good a model is in a stream: missed words, false alarms an hour and latency, with their intervals."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isinf
from pathlib import Path

import msgspec
import numpy as np
from scipy.special import gammaincinv

from kwsd.errors import UsageError
from kwsd.models.bundle import DetectorSettings
from kwsd.models.model import Model
from kwsd.tuning.scoring import RecordingScores, replay_detector, score_recordings
from kwsd_train.data.dataset import Int16, audio_files, load_clips, load_recordings
from kwsd_train.data.features import as_float
from kwsd_train.data.split import SPLITS, check_split
from kwsd_train.measuring.evaluate import Share, wilson
from kwsd_train.measuring.matching import Matching, Spoken, match
from kwsd_train.measuring.streams import Builder, Stream, read_marked
from kwsd_train.progress import bars

NEGATIVES = ("speech", "noise")
"""Folders of a data folder without any keyword."""


@dataclass(frozen=True)
class Sources:
    """Where the recordings come from that a model is judged by.

    Parameters
    ----------
    data : Path or None
        A data folder with ``speech_commands``, ``speech``, ``noise`` and, for words in rooms, ``rir``.
    positives, negatives : Path or None
        A user's own recordings instead: word folders, or streams beside their CSV; anything without the keywords.
    split : str
        "training", "validation", "testing" or "all", of the data folder's words, speech and noise alike.
    per_keyword, seed : int
        See `kwsd_train.measuring.streams.Builder`.

    Raises
    ------
    UsageError
        There is no such split, or a kind of recordings is missing.
    """

    data: Path | None
    positives: Path | None = None
    negatives: Path | None = None
    split: str = "validation"
    per_keyword: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        check_split(self.split)

    def streams(self, keywords: Sequence[str]) -> Iterable[Stream]:
        """Streams of keywords."""
        if self.positives:
            return read_marked(self.positives) or self._streams_of_own_clips(self.positives, keywords)
        if not self.data:
            raise UsageError("give --data, or --positives with recordings of the keywords")
        clips, rooms = load_clips(self.data, part=self.split), audio_files(self.data / "rir")
        noise = self._recordings(self.data / "noise")
        return Builder(clips, keywords, noise, rooms, self.per_keyword, self.seed).streams()

    def recordings(self) -> dict[str, list[Int16]]:
        """Recordings without keywords, by kind."""
        if self.negatives:
            return {"own": load_recordings(self.negatives, SPLITS, strict=True)}
        if not self.data:
            raise UsageError("give --data, or --negatives with recordings without the keywords")
        return {kind: self._recordings(self.data / kind) for kind in NEGATIVES}

    def _streams_of_own_clips(self, folder: Path, keywords: Sequence[str]) -> Iterable[Stream]:
        return Builder(load_clips(folder, strict=True), keywords, [], [], self.per_keyword, self.seed).streams()

    def _recordings(self, folder: Path) -> list[Int16]:
        return load_recordings(folder, [name for name in SPLITS if self.split in {name, "all"}])


class Rate(msgspec.Struct, frozen=True):
    """Events an hour, with the exact 95 % interval of Garwood (Biometrika 28, 1936, p. 437) for a Poisson count.

    Parameters
    ----------
    count : int
    hours : float
    per_hour, low, high : float
    """

    count: int
    hours: float
    per_hour: float
    low: float
    high: float


class Figures(msgspec.Struct, frozen=True):
    """Figures of one stream.

    Parameters
    ----------
    missed : Share
        Words without a detection, of all keywords spoken.
    missed_by_word : dict
    substitutions, false_alarms : int
        Detections in the time of a missed word of another label, and at any other time.
    latency_median_s, latency_p95_s : float or None
        From the end of a word's voice to its detection; None where no word was found.
    """

    missed: Share
    missed_by_word: dict[str, Share]
    substitutions: int
    false_alarms: int
    latency_median_s: float | None
    latency_p95_s: float | None


class FalseAlarms(msgspec.Struct, frozen=True):
    """False alarms on recordings without the keywords: of all keywords together, and by keyword."""

    all: Rate
    by_word: dict[str, Rate]


class StreamReport(msgspec.Struct, frozen=True):
    """Figures of a model in streams.

    Parameters
    ----------
    split : str
    seed : int
    detector : DetectorSettings
    streams : dict
        `Figures` by condition.
    negatives : dict
        `FalseAlarms` by kind of recording.
    """

    model: str
    split: str
    seed: int
    detector: DetectorSettings
    streams: dict[str, Figures]
    negatives: dict[str, FalseAlarms]


@dataclass(frozen=True)
class Trial:
    """A stream and a model's scores of it."""

    name: str
    spoken: list[Spoken]
    scored: RecordingScores

    def match(self, settings: DetectorSettings) -> Matching:
        """What becomes of the stream's words with these settings."""
        return match(self.spoken, replay_detector(self.scored, settings))


@dataclass(frozen=True)
class Trials:
    """Everything that detector settings are judged by: scored streams of words, and scored recordings without any."""

    keywords: list[str]
    streams: list[Trial]
    negatives: dict[str, RecordingScores]

    def false_alarms(self, settings: DetectorSettings, kinds: Iterable[str]) -> FalseAlarms:
        """Rates of false alarms with these settings on some kinds of recordings."""
        chosen = [self.negatives[kind] for kind in kinds]
        counts = Counter(detection.keyword for scored in chosen for detection in replay_detector(scored, settings))
        hours = sum(scored.hours for scored in chosen)
        return FalseAlarms(
            garwood(counts.total(), hours), {word: garwood(counts[word], hours) for word in self.keywords}
        )


def garwood(count: int, hours: float) -> Rate:
    """A rate with its exact 95 % interval; without hours nothing is known of it."""
    if not hours:
        return Rate(count, 0.0, float("nan"), 0.0, float("inf"))
    low = float(gammaincinv(count, 0.025)) if count else 0.0
    high = float(gammaincinv(count + 1, 0.975))
    return Rate(count, hours, count / hours, low / hours, high / hours)


def hear(model: Model, sources: Sources) -> Trials:
    """Run a model over streams of keywords, and over recordings without any; bars in a terminal show how far it is.

    Raises
    ------
    UsageError
        A kind of recordings is missing, or no keyword is spoken in any.
    AudioDataError
        One of the user's own recordings cannot be used.
    """
    streams, negatives = sources.streams(model.keywords), sources.recordings()
    with bars() as shown:
        heard = [_hear(model, stream) for stream in shown.track(streams, description="streams of keywords")]
        if not any(trial.spoken for trial in heard):
            raise UsageError(f"no keyword of model {model.name} is spoken: its keywords are {' '.join(model.keywords)}")
        scored = {
            kind: score_recordings(
                model, map(as_float, shown.track(recordings, description=f"{kind} without keywords"))
            )
            for kind, recordings in negatives.items()
        }
    return Trials(list(model.keywords), heard, scored)


def report(model: Model, sources: Sources, found: Trials) -> StreamReport:
    """Figures of a model with its own detector settings."""
    settings = model.detector
    return StreamReport(
        model=model.name,
        split=sources.split,
        seed=sources.seed,
        detector=settings,
        streams={trial.name: figures(trial.match(settings)) for trial in found.streams},
        negatives={kind: found.false_alarms(settings, [kind]) for kind in found.negatives},
    )


def figures(matching: Matching) -> Figures:
    """Figures of a stream's words."""
    hits = Counter(spoken.word for spoken, _ in matching.hits)
    misses = Counter(spoken.word for spoken in matching.misses)
    latencies = matching.latencies_s
    return Figures(
        missed=wilson(misses.total(), hits.total() + misses.total()),
        missed_by_word={word: wilson(misses[word], hits[word] + misses[word]) for word in sorted(hits | misses)},
        substitutions=len(matching.substitutions),
        false_alarms=len(matching.false_alarms),
        latency_median_s=float(np.median(latencies)) if latencies else None,
        latency_p95_s=float(np.percentile(latencies, 95)) if latencies else None,
    )


def _hear(model: Model, stream: Stream) -> Trial:
    spoken = [spoken for spoken in stream.spoken if spoken.word in model.keywords]
    return Trial(stream.name, spoken, score_recordings(model, [stream.samples]))


def table(found: StreamReport) -> str:
    """The figures as lines of text."""
    words = list(dict.fromkeys(word for f in found.streams.values() for word in f.missed_by_word))
    head = f"{'stream':<14}{'missed':>28}{'substituted':>13}{'false alarms':>14}{'latency median':>16}{'p95':>8}"
    lines = [f"{found.model}, {found.split}", "", head]
    lines += [_stream_line(name, f) for name, f in found.streams.items()]
    lines += ["", f"{'missed':<14}" + "".join(f"{word:>8}" for word in words)]
    for name, f in found.streams.items():
        lines.append(f"{name:<14}" + "".join(f"{f.missed_by_word[word].share:>8.1%}" for word in words))
    lines += ["", f"{'false alarms':<14}{'an hour':>28}{'hours':>8}   by keyword"]
    return "\n".join([*lines, *(_negatives_line(kind, alarms) for kind, alarms in found.negatives.items())]) + "\n"


def _stream_line(name: str, f: Figures) -> str:
    missed = f"{f.missed.share:.1%} [{f.missed.low:.1%}, {f.missed.high:.1%}]"
    latency = f"{seconds(f.latency_median_s):>16}{seconds(f.latency_p95_s):>8}"
    return f"{name:<14}{missed:>28}{f.substitutions:>13}{f.false_alarms:>14}{latency}"


def seconds(latency: float | None) -> str:
    """A latency as text; where no word was found it is none, or infinite, and the text is "none"."""
    return "none" if latency is None or isinf(latency) else f"{latency:.2f} s"


def _negatives_line(kind: str, alarms: FalseAlarms) -> str:
    rate = f"{alarms.all.per_hour:.2f} [{alarms.all.low:.2f}, {alarms.all.high:.2f}]"
    by_word = ", ".join(f"{word} {r.count}" for word, r in alarms.by_word.items() if r.count)
    return f"{kind:<14}{rate:>28}{alarms.all.hours:>8.2f}   {by_word or 'none'}"
