"""Random audio for a whole day: words in noise, and everything else that a microphone may deliver."""

from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray
from words import CLIPS

from kwsd.audio.source import BLOCK_SAMPLES
from kwsd.frontend import SAMPLE_RATE

Samples = NDArray[np.int16]

FULL_SCALE = 32767
NOISE_S = 60

ODDS = {
    "word": 0.965,
    "clipped word": 0.015,
    "long silence": 0.002,
    "zeros": 0.006,
    "full-scale noise": 0.004,
    "square wave": 0.004,
    "constant": 0.004,
}
"""Probability of each kind of audio between two pauses."""


class Audio:
    """An endless stream of random audio, in pieces of whole blocks.

    Parameters
    ----------
    seed : int
        Seed of the random numbers.

    Attributes
    ----------
    words : int
        Number of words so far, keywords and others.
    """

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._clips = [soundfile.read(path, dtype="float32")[0] for path in sorted(CLIPS.glob("*/*.flac"))]
        self._noise = self._draw.standard_normal(NOISE_S * SAMPLE_RATE).astype(np.float32)
        self.words = 0

    def pieces(self) -> Iterator[Samples]:
        """Yield a word or another kind of audio, then a pause, and so on."""
        while True:
            yield self._piece(str(self._draw.choice(list(ODDS), p=list(ODDS.values()))))
            yield self.pause(self._draw.uniform(1.0, 5.0))

    def pause(self, seconds: float) -> Samples:
        """Noise with a level from -75 to -45 dB relative to full scale."""
        count = -(-round(seconds * SAMPLE_RATE) // BLOCK_SAMPLES) * BLOCK_SAMPLES
        noise = np.resize(self._noise[self._draw.integers(len(self._noise) // 2) :], count)
        return _quantised(noise * 10 ** (self._draw.uniform(-75, -45) / 20))

    def _piece(self, kind: str) -> Samples:
        seconds = self._draw.uniform(1, 8)
        if kind.endswith("word"):
            return self._word(30.0 if kind.startswith("clipped") else self._draw.uniform(0.3, 1.0))
        if kind == "long silence":
            return self.pause(self._draw.uniform(120, 600))
        blank = np.zeros_like(self.pause(2 * seconds))
        if kind == "zeros":
            return blank
        if kind == "constant":
            return blank + np.int16(self._draw.integers(-FULL_SCALE, FULL_SCALE))
        if kind == "square wave":
            high = np.arange(len(blank)) // self._draw.integers(1, 200) % 2
            return np.where(high, FULL_SCALE, -FULL_SCALE - 1).astype(np.int16)
        return self._draw.integers(-FULL_SCALE - 1, FULL_SCALE + 1, len(blank)).astype(np.int16)

    def _word(self, gain: float) -> Samples:
        self.words += 1
        clip = self._clips[self._draw.integers(len(self._clips))]
        room = self.pause(len(clip) / SAMPLE_RATE + self._draw.uniform(0, 0.08))
        start = self._draw.integers(len(room) - len(clip) + 1)
        sound = room / np.float32(FULL_SCALE)
        sound[start : start + len(clip)] += gain * clip
        return _quantised(sound)


def _quantised(sound: NDArray[np.floating]) -> Samples:
    return (sound.clip(-1, 1) * FULL_SCALE).round().astype(np.int16)
