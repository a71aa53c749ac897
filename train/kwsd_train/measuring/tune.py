"""Tuning of the detector: the settings with the fewest missed words at a wanted rate of false alarms."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import msgspec
import numpy as np

from kwsd.errors import UsageError
from kwsd.models.bundle import DetectorSettings
from kwsd_train.measuring import card
from kwsd_train.measuring.evaluate import Share, wilson
from kwsd_train.measuring.streaming import FalseAlarms, Trials, seconds

SMOOTHING_WINDOWS = (1, 2, 3, 4, 5, 6)
HITS = (1, 2, 3)
THRESHOLDS = [float(t) for t in np.round(1 / (1 + np.exp(-np.linspace(9, -1, 201))), 4)]
"""Evenly spaced log odds from 0.9999 to 0.27: near one, where the false alarms thin out, they lie close together."""
FARTHEST = 20.0
"""A curve ends at this many times the wanted rate of false alarms."""
NO_DIFFERENCE = 0.004
"""Settings that miss by no more than this share of the words more than the best count as equally good: another draw of
words changes the share by more."""
LATENCY_P95_S = 0.5
"""Settings with which one word in twenty is detected later than this after its end are not considered."""


class Point(msgspec.Struct, frozen=True):
    """Detector settings, and what comes of them.

    Parameters
    ----------
    settings : DetectorSettings
    missed : Share
        Over the words of all streams.
    missed_by_word : dict
    false_alarms : FalseAlarms
        On all recordings without words.
    latency_median_s, latency_p95_s : float
        Infinite where no word was found.
    """

    settings: DetectorSettings
    missed: Share
    missed_by_word: dict[str, Share]
    false_alarms: FalseAlarms
    latency_median_s: float
    latency_p95_s: float

    @property
    def threshold(self) -> float:
        """The threshold of all keywords."""
        return next(iter(self.settings.thresholds.values()))


Curve = list[Point]
"""Points with one smoothing and number of hits, from the highest threshold to the lowest."""


def sweep(trials: Trials, settings: DetectorSettings, per_hour: float, say: Callable[[str], None]) -> list[Curve]:
    """DET curves for every number of smoothing windows and hits.

    Parameters
    ----------
    trials : Trials
    settings : DetectorSettings
        Whose refractory period and re-arming are kept.
    per_hour : float
        Wanted false alarms an hour, which says where the curves may end.
    say : callable
        Takes a line about each curve.
    """
    curves = []
    for windows, hits in product(SMOOTHING_WINDOWS, HITS):
        kept = msgspec.structs.replace(settings, smoothing_windows=windows, hits=hits)
        curves.append(list(curve(trials, kept, FARTHEST * per_hour)))
        found = best(curves[-1:], per_hour)
        missed = f"{found.missed.share:.1%} missed" if found else "never good enough"
        say(f"smoothing_windows {windows}, hits {hits}: {missed}")
    return curves


def curve(trials: Trials, settings: DetectorSettings, farthest: float) -> Iterator[Point]:
    """Points from the highest threshold down, the same for all keywords, to a number of false alarms an hour."""
    for threshold in THRESHOLDS:
        point = measure(trials, msgspec.structs.replace(settings, thresholds=dict.fromkeys(trials.keywords, threshold)))
        yield point
        if point.false_alarms.all.per_hour > farthest:
            return


def best(curves: Sequence[Curve], per_hour: float) -> Point | None:
    """Of the points within the wanted rate that miss hardly more words than the best, the one with the least delay."""
    allowed = [
        point
        for points in curves
        for point in points
        if point.false_alarms.all.per_hour <= per_hour and point.latency_p95_s <= LATENCY_P95_S
    ]
    fewest = min((point.missed.share for point in allowed), default=0)
    good = [point for point in allowed if point.missed.share <= fewest + NO_DIFFERENCE]
    return min(good, key=lambda point: (point.latency_median_s, point.missed.share), default=None)


def choose(curves: Sequence[Curve], per_hour: float) -> Point:
    """The best point.

    Raises
    ------
    UsageError
        No settings keep to the wanted rate in time.
    """
    point = best(curves, per_hour)
    if point is None:
        raise UsageError(f"no settings find words within {LATENCY_P95_S} s at a false alarm rate of {per_hour:g}/h")
    return point


def measure(trials: Trials, settings: DetectorSettings) -> Point:
    """What comes of detector settings, over all streams and all recordings without words."""
    matchings = [trial.match(settings) for trial in trials.streams]
    spoken = Counter(word.word for trial in trials.streams for word in trial.spoken)
    misses = Counter(word.word for matching in matchings for word in matching.misses)
    latencies = [latency for matching in matchings for latency in matching.latencies_s]
    return Point(
        settings,
        wilson(misses.total(), spoken.total()),
        {word: wilson(misses[word], count) for word, count in sorted(spoken.items())},
        trials.false_alarms(settings, trials.negatives),
        float(np.median(latencies)) if latencies else float("inf"),
        float(np.percentile(latencies, 95)) if latencies else float("inf"),
    )


def write(folder: Path, point: Point) -> None:
    """Put the settings of a point into a bundle, and its figures beside them.

    Raises
    ------
    OutputError
        The bundle cannot be written.
    """
    figures = msgspec.to_builtins(point)
    del figures["settings"]
    card.note(folder, card.TUNING, figures, point.settings)


def table(point: Point) -> str:
    """A point as lines of text."""
    settings, missed, alarms = point.settings, point.missed, point.false_alarms.all
    lines = [
        f"threshold {point.threshold:g}, smoothing_windows {settings.smoothing_windows}, hits {settings.hits}",
        f"missed        {missed.share:.1%} [{missed.low:.1%}, {missed.high:.1%}] of {missed.of}",
        f"false alarms  {alarms.per_hour:.2f} an hour [{alarms.low:.2f}, {alarms.high:.2f}] in {alarms.hours:.2f} h",
        f"latency       median {seconds(point.latency_median_s)}, 95th percentile {seconds(point.latency_p95_s)}",
        "",
        f"{'keyword':<14}{'missed':>8}  false alarms an hour",
    ]
    for word, share in point.missed_by_word.items():
        lines.append(f"{word:<14}{share.share:>8.1%}  {point.false_alarms.by_word[word].per_hour:.2f}")
    return "\n".join(lines) + "\n"
