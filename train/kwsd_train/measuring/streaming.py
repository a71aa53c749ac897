"""Measurement of a model in streams: missed words, false alarms per hour and latency."""

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
from kwsd_train.data.dataset import load_clips, load_recordings, load_rooms
from kwsd_train.data.features import as_float
from kwsd_train.data.recording import Int16
from kwsd_train.data.split import SPLITS, check_split_name
from kwsd_train.measuring.evaluate import Proportion, wilson_proportion
from kwsd_train.measuring.matching import Matching, SpokenWord, match_detections
from kwsd_train.measuring.streams import StreamBuilder, WordStream, read_marked_recordings
from kwsd_train.progress import progress_bars

NEGATIVES = ("speech", "noise")
"""Subfolders of a data folder whose recordings do not contain keywords."""


@dataclass(frozen=True)
class EvaluationData:
    """Sources of the recordings on which a model is measured in streams.

    Parameters
    ----------
    data : Path or None
        Data folder with ``speech_commands``, ``speech`` and ``noise``. Streams with room acoustics also need the
        subfolder ``rir``.
    positives : Path or None
        The user's own recordings of words, which replace the words of the data folder. The folder contains word
        folders, or recordings with CSV files that contain the times of the words.
    negatives : Path or None
        Recordings without keywords, which replace the speech and noise recordings of the data folder.
    split : str
        "training", "validation", "testing" or "all". The split applies to the words, speech and noise of the data
        folder.
    per_keyword, seed : int
        See `kwsd_train.measuring.streams.StreamBuilder`.

    Raises
    ------
    UsageError
        The split that `split` names does not exist.
    """

    data: Path | None
    positives: Path | None = None
    negatives: Path | None = None
    split: str = "validation"
    per_keyword: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        check_split_name(self.split)

    def streams(self, keywords: Sequence[str]) -> Iterable[WordStream]:
        """Return the streams that contain keywords.

        Raises
        ------
        UsageError
            Both `positives` and `data` are None.
        """
        if self.positives:
            return read_marked_recordings(self.positives) or self._streams_of_own_clips(self.positives, keywords)
        if not self.data:
            raise UsageError("give --data, or --positives with recordings of the keywords")
        clips, rooms = load_clips(self.data, part=self.split), load_rooms(self.data / "rir")
        noise = self._recordings_of_split(self.data / "noise")
        return StreamBuilder(clips, keywords, noise, rooms, self.per_keyword, self.seed).build_all()

    def recordings(self) -> dict[str, list[Int16]]:
        """Return the recordings without keywords, by kind of recording.

        Raises
        ------
        UsageError
            Both `negatives` and `data` are None.
        """
        if self.negatives:
            return {"own": load_recordings(self.negatives, SPLITS, strict=True)}
        if not self.data:
            raise UsageError("give --data, or --negatives with recordings without the keywords")
        return {kind: self._recordings_of_split(self.data / kind) for kind in NEGATIVES}

    def _streams_of_own_clips(self, folder: Path, keywords: Sequence[str]) -> Iterable[WordStream]:
        clips = load_clips(folder, strict=True)
        return StreamBuilder(clips, keywords, [], [], self.per_keyword, self.seed).build_all()

    def _recordings_of_split(self, folder: Path) -> list[Int16]:
        return load_recordings(folder, [name for name in SPLITS if self.split in {name, "all"}])


class HourlyRate(msgspec.Struct, frozen=True):
    """Events per hour, with the exact 95 % confidence interval of a Poisson count.

    The formula of the interval is from Garwood, Biometrika 28, 1936, p. 437.

    Parameters
    ----------
    count : int
        Number of events.
    hours : float
        Length of the recordings in hours.
    per_hour, low, high : float
        Events per hour, and the limits of the confidence interval.
    """

    count: int
    hours: float
    per_hour: float
    low: float
    high: float


class StreamFigures(msgspec.Struct, frozen=True):
    """Measured figures of a model in one stream.

    Parameters
    ----------
    missed : Proportion
        Share of the spoken keywords that were not detected.
    missed_by_word : dict
        For each keyword, share of its occurrences that were not detected.
    substitutions : int
        Number of detections of another keyword during a missed word.
    false_alarms : int
        Number of detections that do not belong to a spoken keyword. Substitutions do not count as false alarms.
    latency_median_s, latency_p95_s : float or None
        Median and 95th percentile of the time from the end of a word's voice to its detection. The latencies are None
        if the model did not detect a word.
    """

    missed: Proportion
    missed_by_word: dict[str, Proportion]
    substitutions: int
    false_alarms: int
    latency_median_s: float | None
    latency_p95_s: float | None


class FalseAlarms(msgspec.Struct, frozen=True):
    """Rates of false alarms on recordings without keywords, for all keywords together and for each keyword."""

    all: HourlyRate
    by_word: dict[str, HourlyRate]


class StreamReport(msgspec.Struct, frozen=True):
    """Measured figures of a model in streams.

    Parameters
    ----------
    model : str
        Name of the measured model.
    seed : int
        Random seed with which the streams were built.
    detector : DetectorSettings
        Detector settings with which the figures were measured.
    streams : dict
        `StreamFigures` for each acoustic condition. The key is the name of the condition.
    negatives : dict
        `FalseAlarms` for each kind of recording without keywords.
    """

    model: str
    split: str
    seed: int
    detector: DetectorSettings
    streams: dict[str, StreamFigures]
    negatives: dict[str, FalseAlarms]


@dataclass(frozen=True)
class ScoredStream:
    """The keywords of a stream, and the scores of a model in the stream."""

    name: str
    spoken: list[SpokenWord]
    scored: RecordingScores

    def match(self, settings: DetectorSettings) -> Matching:
        """Match the words of the stream with the detections of a detector that has the given settings."""
        return match_detections(self.spoken, replay_detector(self.scored, settings))


@dataclass(frozen=True)
class ScoredData:
    """Scores of a model in streams of keywords and in recordings without keywords.

    With these scores, many detector settings can be measured without running the model again.

    Parameters
    ----------
    negatives : dict
        Scores for each kind of recording without keywords.
    """

    keywords: list[str]
    streams: list[ScoredStream]
    negatives: dict[str, RecordingScores]

    def false_alarms(self, settings: DetectorSettings, kinds: Iterable[str]) -> FalseAlarms:
        """Compute the rates of false alarms with the given detector settings on the given kinds of recordings."""
        chosen = [self.negatives[kind] for kind in kinds]
        counts = Counter(detection.keyword for scored in chosen for detection in replay_detector(scored, settings))
        hours = sum(scored.hours for scored in chosen)
        return FalseAlarms(
            garwood_rate(counts.total(), hours), {word: garwood_rate(counts[word], hours) for word in self.keywords}
        )


def garwood_rate(count: int, hours: float) -> HourlyRate:
    """Compute a rate per hour with its exact 95 % confidence interval.

    If the recordings have zero hours, the interval is [0, ∞).
    """
    if not hours:
        return HourlyRate(count, 0.0, float("nan"), 0.0, float("inf"))
    # The limits of a Poisson mean are quantiles of gamma distributions.
    low = float(gammaincinv(count, 0.025)) if count else 0.0
    high = float(gammaincinv(count + 1, 0.975))
    return HourlyRate(count, hours, count / hours, low / hours, high / hours)


def score_evaluation_data(model: Model, sources: EvaluationData) -> ScoredData:
    """Run a model on streams of keywords and on recordings without keywords.

    If standard error is a terminal, the terminal shows progress bars.

    Raises
    ------
    UsageError
        Recordings are missing, or the streams do not contain a keyword of the model.
    AudioDataError
        One of the user's own recordings cannot be used.
    """
    streams, negatives = sources.streams(model.keywords), sources.recordings()
    with progress_bars() as bars:
        scored_streams = [_score_stream(model, stream) for stream in bars.track(streams, description="keyword streams")]
        if not any(stream.spoken for stream in scored_streams):
            raise UsageError(f"the recordings contain no keyword of model {model.name}: {' '.join(model.keywords)}")
        scored_negatives = {
            kind: score_recordings(model, map(as_float, bars.track(recordings, description=f"{kind} without keywords")))
            for kind, recordings in negatives.items()
        }
    return ScoredData(list(model.keywords), scored_streams, scored_negatives)


def make_stream_report(model: Model, sources: EvaluationData, scored: ScoredData) -> StreamReport:
    """Compute the figures of a model with the detector settings of its bundle."""
    settings = model.detector
    return StreamReport(
        model=model.name,
        split=sources.split,
        seed=sources.seed,
        detector=settings,
        streams={stream.name: compute_stream_figures(stream.match(settings)) for stream in scored.streams},
        negatives={kind: scored.false_alarms(settings, [kind]) for kind in scored.negatives},
    )


def compute_stream_figures(matching: Matching) -> StreamFigures:
    """Compute the measured figures of one stream."""
    hits = Counter(spoken.word for spoken, _ in matching.hits)
    misses = Counter(spoken.word for spoken in matching.misses)
    latencies = matching.latencies_s
    return StreamFigures(
        missed=wilson_proportion(misses.total(), hits.total() + misses.total()),
        missed_by_word={
            word: wilson_proportion(misses[word], hits[word] + misses[word]) for word in sorted(hits | misses)
        },
        substitutions=len(matching.substitutions),
        false_alarms=len(matching.false_alarms),
        latency_median_s=float(np.median(latencies)) if latencies else None,
        latency_p95_s=float(np.percentile(latencies, 95)) if latencies else None,
    )


def _score_stream(model: Model, stream: WordStream) -> ScoredStream:
    spoken = [spoken for spoken in stream.spoken if spoken.word in model.keywords]
    return ScoredStream(stream.name, spoken, score_recordings(model, [stream.samples]))


def format_stream_report(found: StreamReport) -> str:
    """Return the measured figures as lines of text."""
    words = list(dict.fromkeys(word for f in found.streams.values() for word in f.missed_by_word))
    head = f"{'stream':<14}{'missed':>28}{'substituted':>13}{'false alarms':>14}{'latency median':>16}{'p95':>8}"
    lines = [f"{found.model}, {found.split}", "", head]
    lines += [_stream_line(name, f) for name, f in found.streams.items()]
    lines += ["", f"{'missed':<14}" + "".join(f"{word:>8}" for word in words)]
    for name, f in found.streams.items():
        lines.append(f"{name:<14}" + "".join(f"{f.missed_by_word[word].share:>8.1%}" for word in words))
    lines += ["", f"{'false alarms':<14}{'per hour':>28}{'hours':>8}   by keyword"]
    return "\n".join([*lines, *(_negatives_line(kind, alarms) for kind, alarms in found.negatives.items())]) + "\n"


def _stream_line(name: str, f: StreamFigures) -> str:
    missed = f"{f.missed.share:.1%} [{f.missed.low:.1%}, {f.missed.high:.1%}]"
    latency = f"{format_latency(f.latency_median_s):>16}{format_latency(f.latency_p95_s):>8}"
    return f"{name:<14}{missed:>28}{f.substitutions:>13}{f.false_alarms:>14}{latency}"


def format_latency(latency: float | None) -> str:
    """Return a latency in seconds as text. If the latency is None or infinite, the text is "none"."""
    return "none" if latency is None or isinf(latency) else f"{latency:.2f} s"


def _negatives_line(kind: str, alarms: FalseAlarms) -> str:
    rate = f"{alarms.all.per_hour:.2f} [{alarms.all.low:.2f}, {alarms.all.high:.2f}]"
    by_word = ", ".join(f"{word} {r.count}" for word, r in alarms.by_word.items() if r.count)
    return f"{kind:<14}{rate:>28}{alarms.all.hours:>8.2f}   {by_word or 'none'}"
