"""Selects the seconds of audio to save as clips from the audio that a spotter processes."""

import datetime

from kwsd.clips.clip import FIRED, NEAR, Clip
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.ring import Ring
from kwsd.pipeline.spotter import Spotter

NEAR_SHARE = 0.7
"""Minimum ratio of smoothed score to threshold at which a period without a detection is a near miss."""


class ClipSelector:
    """Returns a clip for each detection and each near miss.

    A near miss is a period in which the smoothed score of some keyword stays at or above `NEAR_SHARE` of its threshold,
    without a detection. A near miss yields one clip, from the moment at which the score was closest to its threshold.
    If a period overlaps the second of a detection, the period is not a near miss.
    """

    def __init__(self) -> None:
        # Two windows, because a block may continue after the window that decided.
        self._samples = Ring(2 * WINDOW_SAMPLES)
        self._nearest: Clip | None = None
        self._nearness = 0.0
        self._busy_until = 0

    def feed(
        self, samples: Float32, spotter: Spotter, detections: list[Detection], now: datetime.datetime
    ) -> list[Clip]:
        """Add the samples that a spotter has just processed, and return the clips that are complete.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32
            At most one second.
        spotter : Spotter
            Spotter that has processed the samples; it must be attentive, because its scores are otherwise only upper
            bounds.
        detections : list of Detection
            Detections in the given samples.
        now : datetime
            Arrival time of the last sample, in UTC.
        """
        self._samples.append(samples)
        clips = []
        for found in detections:
            clips.append(self._clip(found.keyword, found.score, FIRED, spotter.sample - found.sample, now))
            self._busy_until = found.sample + WINDOW_SAMPLES
            self._nearest, self._nearness = None, 0.0
        clips += self._follow_scores(spotter, now)
        return clips

    def reset(self) -> list[Clip]:
        """Forget the previous audio, for example after a gap, and return the near miss that was in progress."""
        self._samples.clear()
        return self._end_near_miss()

    def _follow_scores(self, spotter: Spotter, now: datetime.datetime) -> list[Clip]:
        thresholds = spotter.thresholds
        near = [(score / thresholds[word], word, score) for word, score in spotter.scores.items()]
        nearness, keyword, score = max(near, default=(0.0, "", 0.0))
        if nearness < NEAR_SHARE:
            return self._end_near_miss()
        if nearness > self._nearness and spotter.sample >= self._busy_until:
            self._nearness, self._nearest = nearness, self._clip(keyword, score, NEAR, 0, now)
        return []

    def _end_near_miss(self) -> list[Clip]:
        clips = [self._nearest] if self._nearest else []
        self._nearest, self._nearness = None, 0.0
        return clips

    def _clip(self, keyword: str, score: float, kind: str, age: int, now: datetime.datetime) -> Clip:
        """Return a clip of the second that ended `age` samples ago."""
        end = 2 * WINDOW_SAMPLES - age
        samples = self._samples.newest[end - WINDOW_SAMPLES : end].copy()
        return Clip(now - datetime.timedelta(seconds=age / SAMPLE_RATE), keyword, score, kind, samples)
