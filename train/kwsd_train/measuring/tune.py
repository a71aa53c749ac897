"""Tuning of the detector: search for the settings with the fewest missed words at a given false alarm rate."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

import msgspec
import numpy as np

from kwsd.errors import UsageError
from kwsd.models.bundle import DetectorSettings
from kwsd_train.measuring.card import TUNING, add_figures_to_bundle
from kwsd_train.measuring.evaluate import Proportion, wilson_proportion
from kwsd_train.measuring.streaming import FalseAlarms, ScoredData, format_latency

SMOOTHING_WINDOWS = (1, 2, 3, 4, 5, 6)
HITS = (1, 2, 3)
THRESHOLDS = [float(t) for t in np.round(1 / (1 + np.exp(-np.linspace(9, -1, 201))), 4)]
"""Thresholds from 0.9999 to 0.27, evenly spaced in log odds.

The spacing in log odds places many thresholds near one, where false alarms are rare.
"""
FARTHEST_RATE_FACTOR = 20.0
"""A DET curve ends at the given rate of false alarms multiplied by this factor."""
EQUAL_MISS_RATE = 0.004
"""Settings count as equally good if their miss rate exceeds the lowest miss rate by at most this value.

A different choice of test words changes the miss rate by more than this value.
"""
LATENCY_P95_S = 0.5
"""Upper limit of the 95th percentile of latency, in seconds. Settings with a higher latency are not considered."""


class OperatingPoint(msgspec.Struct, frozen=True):
    """Detector settings and the figures that were measured with these settings.

    Parameters
    ----------
    missed : Proportion
        Share of missed words in all streams together.
    missed_by_word : dict
        Share of missed words for each keyword.
    false_alarms : FalseAlarms
        Rates of false alarms on all recordings without keywords together.
    latency_median_s, latency_p95_s : float
        Median and 95th percentile of latency in seconds. The latencies are infinite if the model did not detect a word.
    """

    settings: DetectorSettings
    missed: Proportion
    missed_by_word: dict[str, Proportion]
    false_alarms: FalseAlarms
    latency_median_s: float
    latency_p95_s: float

    @property
    def threshold(self) -> float:
        """The threshold that all keywords share."""
        return next(iter(self.settings.thresholds.values()))


DetCurve = list[OperatingPoint]
"""Operating points that differ only in their threshold, from the highest threshold to the lowest."""


def compute_det_curves(
    scored: ScoredData, settings: DetectorSettings, per_hour: float, say: Callable[[str], None]
) -> list[DetCurve]:
    """Compute one DET curve for each combination of a number of smoothing windows and a number of hits.

    Parameters
    ----------
    settings : DetectorSettings
        Detector settings. Only their refractory period and their re-arming settings are used.
    per_hour : float
        Given rate of false alarms per hour. The given rate of false alarms determines where the DET curves end.
    say : callable
        Function that receives one line of text for each DET curve.
    """
    curves = []
    for windows, hits in product(SMOOTHING_WINDOWS, HITS):
        changed = msgspec.structs.replace(settings, smoothing_windows=windows, hits=hits)
        curves.append(list(trace_det_curve(scored, changed, FARTHEST_RATE_FACTOR * per_hour)))
        found = find_best_point(curves[-1:], per_hour)
        missed = f"{found.missed.share:.1%} missed" if found else "never within the limits"
        say(f"smoothing_windows {windows}, hits {hits}: {missed}")
    return curves


def trace_det_curve(scored: ScoredData, settings: DetectorSettings, farthest: float) -> Iterator[OperatingPoint]:
    """Yield operating points in order of falling threshold until a given rate of false alarms per hour is exceeded."""
    for threshold in THRESHOLDS:
        thresholds = dict.fromkeys(scored.keywords, threshold)
        point = measure_settings(scored, msgspec.structs.replace(settings, thresholds=thresholds))
        yield point
        if point.false_alarms.all.per_hour > farthest:  # lower thresholds cause even more
            return


def find_best_point(curves: Sequence[DetCurve], per_hour: float) -> OperatingPoint | None:
    """Return the operating point with the lowest latency among the points with almost the lowest miss rate.

    Only points within the given rate of false alarms are considered.
    """
    allowed = [
        point
        for points in curves
        for point in points
        if point.false_alarms.all.per_hour <= per_hour and point.latency_p95_s <= LATENCY_P95_S
    ]
    fewest = min((point.missed.share for point in allowed), default=0)
    good = [point for point in allowed if point.missed.share <= fewest + EQUAL_MISS_RATE]
    return min(good, key=lambda point: (point.latency_median_s, point.missed.share), default=None)


def choose_operating_point(curves: Sequence[DetCurve], per_hour: float) -> OperatingPoint:
    """Return the best operating point; see `find_best_point`.

    Raises
    ------
    UsageError
        All detector settings exceed the given rate of false alarms or the latency limit.
    """
    point = find_best_point(curves, per_hour)
    if point is None:
        raise UsageError(
            f"no settings detect words within {LATENCY_P95_S} s at {per_hour:g} false alarms per hour: allow more"
        )
    return point


def measure_settings(scored: ScoredData, settings: DetectorSettings) -> OperatingPoint:
    """Measure detector settings on all streams and on all recordings without keywords."""
    matchings = [stream.match(settings) for stream in scored.streams]
    spoken = Counter(word.word for stream in scored.streams for word in stream.spoken)
    misses = Counter(word.word for matching in matchings for word in matching.misses)
    latencies = [latency for matching in matchings for latency in matching.latencies_s]
    return OperatingPoint(
        settings,
        wilson_proportion(misses.total(), spoken.total()),
        {word: wilson_proportion(misses[word], count) for word, count in sorted(spoken.items())},
        scored.false_alarms(settings, scored.negatives),
        float(np.median(latencies)) if latencies else float("inf"),
        float(np.percentile(latencies, 95)) if latencies else float("inf"),
    )


def write_operating_point(folder: Path, point: OperatingPoint) -> None:
    """Write the settings and figures of an operating point into a bundle.

    Raises
    ------
    OutputError
        The files of the bundle cannot be written.
    """
    figures = msgspec.to_builtins(point)
    del figures["settings"]  # the bundle has them in a separate table
    add_figures_to_bundle(folder, TUNING, figures, point.settings)


def format_operating_point(point: OperatingPoint) -> str:
    """Return an operating point as lines of text."""
    settings, missed, alarms = point.settings, point.missed, point.false_alarms.all
    median, late = format_latency(point.latency_median_s), format_latency(point.latency_p95_s)
    lines = [
        f"threshold {point.threshold:g}, smoothing_windows {settings.smoothing_windows}, hits {settings.hits}",
        f"missed        {missed.share:.1%} [{missed.low:.1%}, {missed.high:.1%}] of {missed.of}",
        f"false alarms  {alarms.per_hour:.2f} per hour [{alarms.low:.2f}, {alarms.high:.2f}] in {alarms.hours:.2f} h",
        f"latency       median {median}, 95th percentile {late}",
        "",
        f"{'keyword':<14}{'missed':>8}  false alarms per hour",
    ]
    for word, share in point.missed_by_word.items():
        lines.append(f"{word:<14}{share.share:>8.1%}  {point.false_alarms.by_word[word].per_hour:.2f}")
    return "\n".join(lines) + "\n"
