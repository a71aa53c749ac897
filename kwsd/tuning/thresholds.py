"""Counts the detections at different thresholds, from scores that were kept, and finds thresholds for a given rate."""

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np

from kwsd.models.bundle import DetectorSettings
from kwsd.tuning.scoring import RecordingScores, replay_detector

GRID = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Thresholds in the table. They are close together near 1, because there a small step removes many false alarms."""

LOWEST, HIGHEST = GRID[0], 0.9999
"""Range of the thresholds that `thresholds_for_rate` may choose."""

STEPS = range(80, -81, -1)
"""Steps that `thresholds_for_rate` tries, from the highest thresholds to the lowest, in tenths of log odds."""

ZERO_IN_HOURS = 3.7
"""If no event occurs in this many hours, the rate is below one event per hour with 95 % confidence.

This is the upper limit of the exact Poisson interval for zero events, -log(0.025)."""

MINUTES_FOR_A_RATE = 6
"""Minutes of audio below which no rate is printed: a single detection would already be 10 per hour."""


class DetectionCount(msgspec.Struct, frozen=True):
    """Number of detections at one threshold.

    Parameters
    ----------
    threshold : float
        Threshold of the keyword, or of all keywords.
    detections : int
        Detections in the whole audio.
    per_hour : float
        Detections per hour of audio.
    """

    threshold: float
    detections: int
    per_hour: float


class ThresholdChoice(msgspec.Struct, frozen=True):
    """A threshold for each keyword, and the detections with these thresholds.

    Parameters
    ----------
    thresholds : dict
        Keyword to threshold.
    detections : dict
        Number of detections of each keyword.
    per_hour : float
        Detections of all keywords together in an hour of audio.
    """

    thresholds: dict[str, float]
    detections: dict[str, int]
    per_hour: float

    @property
    def total(self) -> int:
        """Number of detections of all keywords."""
        return sum(self.detections.values())


class ThresholdTable(msgspec.Struct, frozen=True):
    """Numbers of detections at the thresholds of `GRID` and at the thresholds in force.

    Parameters
    ----------
    seconds : float
        Length of the audio.
    keywords : dict
        Keyword to counts, from the lowest threshold to the highest. The other keywords have their thresholds in force.
    all : list of DetectionCount
        Counts of all keywords together when all have the same threshold.
    now : ThresholdChoice
        Counts with the thresholds in force.
    """

    seconds: float
    keywords: dict[str, list[DetectionCount]]
    all: list[DetectionCount]
    now: ThresholdChoice


def tabulate_thresholds(scored: RecordingScores, settings: DetectorSettings) -> ThresholdTable:
    """Count the detections in scores of recordings, for each keyword and threshold.

    Parameters
    ----------
    settings : DetectorSettings
        The settings in force.
    """
    words = list(settings.thresholds)
    grid = sorted({*GRID, *settings.thresholds.values()})

    def count(threshold: float, *changed: str) -> DetectionCount:
        found = count_detections(scored, settings, settings.thresholds | dict.fromkeys(changed, threshold))
        detections = sum(found.detections[word] for word in changed)
        return DetectionCount(threshold, detections, detections / scored.hours)

    return ThresholdTable(
        scored.seconds,
        {word: [count(threshold, word) for threshold in grid] for word in words},
        [count(threshold, *words) for threshold in grid],
        count_detections(scored, settings, settings.thresholds),
    )


def count_detections(
    scored: RecordingScores, settings: DetectorSettings, thresholds: dict[str, float]
) -> ThresholdChoice:
    """Count the detections in scores of recordings with other thresholds, one for each keyword."""
    found = replay_detector(scored, msgspec.structs.replace(settings, thresholds=thresholds))
    counted = Counter(detection.keyword for detection in found)
    return ThresholdChoice(thresholds, {word: counted[word] for word in thresholds}, len(found) / scored.hours)


def thresholds_for_rate(scored: RecordingScores, settings: DetectorSettings, per_hour: float) -> ThresholdChoice | None:
    """The lowest thresholds that stay at or below a rate of detections; None if there are no such thresholds.

    All thresholds move together, by the same step of their log odds. Thresholds chosen one by one would fit the few
    detections in this audio, and not the next hour. Thresholds are lowered only if the audio is long enough to prove
    the rate.

    Parameters
    ----------
    scored : RecordingScores
        Scores of recordings without keywords, so that each detection is a false alarm.
    settings : DetectorSettings
        The settings in force.
    per_hour : float
        Highest rate of detections of all keywords together.
    """
    best = None
    for thresholds in _moved_together(settings.thresholds, lower=is_rate_provable(scored.hours, per_hour)):
        found = count_detections(scored, settings, thresholds)
        if found.per_hour > per_hour:
            break
        best = found
    return best


def is_rate_provable(hours: float, per_hour: float) -> bool:
    """Whether this many hours without a detection prove the rate with 95 % confidence."""
    return hours * per_hour >= ZERO_IN_HOURS


def is_long_enough_for_rate(seconds: float) -> bool:
    """Whether audio of this length is long enough to print a rate of detections."""
    return seconds >= 60 * MINUTES_FOR_A_RATE


def _moved_together(thresholds: dict[str, float], *, lower: bool) -> Iterator[dict[str, float]]:
    """Thresholds from the highest down to the lowest, or only down to the given ones if they must not be lowered."""
    given = np.array(list(thresholds.values()))
    odds = np.log(given.clip(LOWEST, HIGHEST) / (1 - given.clip(LOWEST, HIGHEST)))
    for step in STEPS if lower else range(STEPS.start, -1, -1):
        moved = (1 / (1 + np.exp(-odds - step / 10))).clip(LOWEST, HIGHEST).round(4)
        yield dict(zip(thresholds, (moved if lower else np.maximum(moved, given)).tolist(), strict=True))
