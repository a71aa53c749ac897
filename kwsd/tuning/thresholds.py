"""Counts the detections at different thresholds from stored scores, and finds thresholds for a given rate."""

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np

from kwsd.models.bundle import DetectorSettings
from kwsd.tuning.scoring import RecordingScores, replay_detector

GRID = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Thresholds in the table. The thresholds are close together near 1, because a small step near 1 removes many false
alarms."""

LOWEST, HIGHEST = GRID[0], 0.9999
"""Range of thresholds from which `thresholds_for_rate` may choose."""

STEPS = range(80, -81, -1)
"""Steps in tenths of log odds that `thresholds_for_rate` tries, from the highest thresholds to the lowest."""

ZERO_IN_HOURS = 3.7
"""If an event does not occur in this many hours, its rate is below one per hour with 95 % confidence.

The value -log(0.025) is the upper limit of the exact Poisson interval for zero events."""

MINUTES_FOR_A_RATE = 6
"""Minimum length of audio, in minutes, for which a rate is printed. In shorter audio, a single detection would exceed
10 per hour."""


class DetectionCount(msgspec.Struct, frozen=True):
    """The number of detections at one threshold.

    Parameters
    ----------
    threshold : float
        Threshold of one keyword, or of all keywords together.
    detections : int
        Number of detections in the whole audio.
    per_hour : float
        Number of detections per hour of audio.
    """

    threshold: float
    detections: int
    per_hour: float


class ThresholdChoice(msgspec.Struct, frozen=True):
    """A threshold for each keyword, and the number of detections with these thresholds.

    Parameters
    ----------
    thresholds : dict
        Keyword to threshold.
    detections : dict
        Number of detections of each keyword.
    per_hour : float
        Number of detections of all keywords together per hour of audio.
    """

    thresholds: dict[str, float]
    detections: dict[str, int]
    per_hour: float

    @property
    def total(self) -> int:
        """Number of detections of all keywords."""
        return sum(self.detections.values())


class ThresholdTable(msgspec.Struct, frozen=True):
    """The numbers of detections at the thresholds of `GRID` and at the current thresholds.

    Parameters
    ----------
    seconds : float
        Length of the audio, in seconds.
    keywords : dict
        Maps each keyword to its counts, from the lowest threshold to the highest. While one keyword is counted, the
        other keywords keep their current thresholds.
    all : list of DetectionCount
        Counts of all keywords together, if a common threshold is used for all keywords.
    now : ThresholdChoice
        Number of detections with the current thresholds.
    """

    seconds: float
    keywords: dict[str, list[DetectionCount]]
    all: list[DetectionCount]
    now: ThresholdChoice


def tabulate_thresholds(scored: RecordingScores, settings: DetectorSettings) -> ThresholdTable:
    """Count the detections in the scores of recordings, for each keyword and each threshold.

    Parameters
    ----------
    settings : DetectorSettings
        Current detector settings.
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
    """Count the detections in the scores of recordings, with a given threshold for each keyword."""
    found = replay_detector(scored, msgspec.structs.replace(settings, thresholds=thresholds))
    counted = Counter(detection.keyword for detection in found)
    return ThresholdChoice(thresholds, {word: counted[word] for word in thresholds}, len(found) / scored.hours)


def thresholds_for_rate(scored: RecordingScores, settings: DetectorSettings, per_hour: float) -> ThresholdChoice | None:
    """Return the lowest thresholds whose rate of detections does not exceed a limit; None without suitable thresholds.

    All thresholds are changed together, by an equal step of their log odds. Separately chosen thresholds would fit only
    the few detections in this audio, and would not be suitable for other audio. The function lowers thresholds only if
    the audio is long enough to prove the rate.

    Parameters
    ----------
    scored : RecordingScores
        Scores of recordings without keywords, so that each detection is a false alarm.
    settings : DetectorSettings
        Current detector settings.
    per_hour : float
        Maximum rate of detections of all keywords together, per hour.
    """
    best = None
    for thresholds in _moved_together(settings.thresholds, lower=is_rate_provable(scored.hours, per_hour)):
        found = count_detections(scored, settings, thresholds)
        if found.per_hour > per_hour:
            break
        best = found
    return best


def is_rate_provable(hours: float, per_hour: float) -> bool:
    """Whether the given number of hours without a detection proves the rate with 95 % confidence."""
    return hours * per_hour >= ZERO_IN_HOURS


def is_long_enough_for_rate(seconds: float) -> bool:
    """Whether audio of the given length is long enough to print a rate of detections."""
    return seconds >= 60 * MINUTES_FOR_A_RATE


def _moved_together(thresholds: dict[str, float], *, lower: bool) -> Iterator[dict[str, float]]:
    """Yield thresholds from the highest to the lowest. If they must not be lowered, stop at the given thresholds."""
    given = np.array(list(thresholds.values()))
    odds = np.log(given.clip(LOWEST, HIGHEST) / (1 - given.clip(LOWEST, HIGHEST)))
    for step in STEPS if lower else range(STEPS.start, -1, -1):
        moved = (1 / (1 + np.exp(-odds - step / 10))).clip(LOWEST, HIGHEST).round(4)
        yield dict(zip(thresholds, (moved if lower else np.maximum(moved, given)).tolist(), strict=True))
