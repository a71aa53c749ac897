"""What would have been detected at which thresholds, from scores that were kept."""

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np

from kwsd.models.bundle import DetectorSettings
from kwsd.tuning.scoring import Scored, replay

GRID = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Thresholds that are tried: near one, where the false alarms thin out, they lie close together."""

LOWEST, HIGHEST = GRID[0], 0.9999
"""Where thresholds that are chosen by the rate of detections must lie."""

STEPS = range(80, -81, -1)
"""Tenths of log odds by which all thresholds are moved together, from the farthest up to the farthest down."""

ZERO_IN_HOURS = 3.7
"""No event in so many hours shows, with 95 % confidence, fewer than one an hour: the upper limit of the exact Poisson
interval, -log(0.025)."""


class Count(msgspec.Struct, frozen=True):
    """Detections at a threshold.

    Parameters
    ----------
    threshold : float
    detections : int
    per_hour : float
    """

    threshold: float
    detections: int
    per_hour: float


class Choice(msgspec.Struct, frozen=True):
    """Thresholds, and the detections with them.

    Parameters
    ----------
    thresholds : dict
    detections : dict
        Of each keyword.
    per_hour : float
        Of all keywords together.
    """

    thresholds: dict[str, float]
    detections: dict[str, int]
    per_hour: float

    @property
    def total(self) -> int:
        """Detections of all keywords."""
        return sum(self.detections.values())


class Table(msgspec.Struct, frozen=True):
    """Detections at the thresholds of `GRID` and at those in force.

    Parameters
    ----------
    seconds : float
        Length of the recordings.
    keywords : dict
        Of each keyword, from the lowest threshold to the highest, while the others have theirs that are in force.
    all : list of Count
        Of all keywords, when they have the same threshold.
    now : Choice
        With the thresholds in force.
    """

    seconds: float
    keywords: dict[str, list[Count]]
    all: list[Count]
    now: Choice


def tabulate(scored: Scored, settings: DetectorSettings) -> Table:
    """The table for scores of recordings, and the settings in force."""
    words = list(settings.thresholds)
    grid = sorted({*GRID, *settings.thresholds.values()})

    def count(threshold: float, *changed: str) -> Count:
        found = choice(scored, settings, settings.thresholds | dict.fromkeys(changed, threshold))
        detections = sum(found.detections[word] for word in changed)
        return Count(threshold, detections, detections / scored.hours)

    return Table(
        scored.seconds,
        {word: [count(threshold, word) for threshold in grid] for word in words},
        [count(threshold, *words) for threshold in grid],
        choice(scored, settings, settings.thresholds),
    )


def choice(scored: Scored, settings: DetectorSettings, thresholds: dict[str, float]) -> Choice:
    """What would have been detected with thresholds, given for each keyword."""
    found = replay(scored, msgspec.structs.replace(settings, thresholds=thresholds))
    counted = Counter(detection.keyword for detection in found)
    return Choice(thresholds, {word: counted[word] for word in thresholds}, len(found) / scored.hours)


def choose(scored: Scored, settings: DetectorSettings, per_hour: float) -> Choice | None:
    """The lowest thresholds with which no more would have been detected an hour; None where there are none.

    All are moved together, by the same step of their log odds: chosen one by one they would fit the few detections
    that an hour holds, and not the next hour. They are lowered only where the recordings are long enough to show
    such a rate.

    Parameters
    ----------
    scored : Scored
        Of recordings without keywords.
    settings : DetectorSettings
        In force.
    per_hour : float
        Wanted at most, of all keywords together.
    """
    best = None
    for thresholds in _moved(settings.thresholds, lower=long_enough(scored.hours, per_hour)):
        found = choice(scored, settings, thresholds)
        if found.per_hour > per_hour:
            break
        best = found
    return best


def long_enough(hours: float, per_hour: float) -> bool:
    """Whether so many hours without any detection would show a rate, with 95 % confidence."""
    return hours * per_hour >= ZERO_IN_HOURS


def _moved(thresholds: dict[str, float], *, lower: bool) -> Iterator[dict[str, float]]:
    """Thresholds, from the highest down to those given, or to the lowest."""
    given = np.array(list(thresholds.values()))
    odds = np.log(given.clip(LOWEST, HIGHEST) / (1 - given.clip(LOWEST, HIGHEST)))
    for step in STEPS if lower else range(STEPS.start, -1, -1):
        moved = (1 / (1 + np.exp(-odds - step / 10))).clip(LOWEST, HIGHEST).round(4)
        yield dict(zip(thresholds, (moved if lower else np.maximum(moved, given)).tolist(), strict=True))
