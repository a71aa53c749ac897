"""The picker: picks the seconds that are worth keeping out of the audio that a spotter hears."""

import datetime

from kwsd.clips.clip import FIRED, NEAR, Clip
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.ring import Ring
from kwsd.pipeline.spotter import Spotter

NEAR_SHARE = 0.7
"""A smoothed score that reaches this share of its threshold, and comes to nothing, is a near miss."""


class Picker:
    """Gives a clip for each detection and each near miss.

    A near miss is a stretch of time in which the smoothed score of some keyword stays above `NEAR_SHARE` of its
    threshold without any detection. It gives one clip: where the score came nearest to its threshold. What overlaps
    with the second of a detection is no near miss.
    """

    def __init__(self) -> None:
        # A block may go on after the window that decided.
        self._samples = Ring(2 * WINDOW_SAMPLES)
        self._nearest: Clip | None = None
        self._nearness = 0.0
        self._busy_until = 0

    def hear(
        self, samples: Float32, spotter: Spotter, detections: list[Detection], now: datetime.datetime
    ) -> list[Clip]:
        """Take what a spotter has just been fed with.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32
            At most a second.
        spotter : Spotter
            After it has heard them; attentive, because its scores are no more than upper bounds otherwise.
        detections : list of Detection
            In them.
        now : datetime
            When they had arrived.
        """
        self._samples.append(samples)
        clips = []
        for found in detections:
            clips.append(self._clip(found.keyword, found.score, FIRED, spotter.sample - found.sample, now))
            self._busy_until = found.sample + WINDOW_SAMPLES
            self._nearest, self._nearness = None, 0.0
        clips += self._watch(spotter, now)
        return clips

    def reset(self) -> list[Clip]:
        """Begin anew, as after a gap; gives the near miss that was not over."""
        self._samples.clear()
        return self._end()

    def _watch(self, spotter: Spotter, now: datetime.datetime) -> list[Clip]:
        thresholds = spotter.thresholds
        near = [(score / thresholds[word], word, score) for word, score in spotter.scores.items()]
        nearness, keyword, score = max(near, default=(0.0, "", 0.0))
        if nearness < NEAR_SHARE:
            return self._end()
        if nearness > self._nearness and spotter.sample >= self._busy_until:
            self._nearness, self._nearest = nearness, self._clip(keyword, score, NEAR, 0, now)
        return []

    def _end(self) -> list[Clip]:
        clips = [self._nearest] if self._nearest else []
        self._nearest, self._nearness = None, 0.0
        return clips

    def _clip(self, keyword: str, score: float, kind: str, age: int, now: datetime.datetime) -> Clip:
        """The second that ended `age` samples ago."""
        end = 2 * WINDOW_SAMPLES - age
        samples = self._samples.newest[end - WINDOW_SAMPLES : end].copy()
        return Clip(now - datetime.timedelta(seconds=age / SAMPLE_RATE), keyword, score, kind, samples)
