"""What a network is shown in an epoch: keywords and everything that is none, drawn and augmented afresh."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import WINDOW_SAMPLES, Float32
from kwsd_train.data.augment import Augmenter, Rng, random_crop
from kwsd_train.data.dataset import Clips, Int16
from kwsd_train.data.features import as_float, spectrograms
from kwsd_train.recipe import Mixture

SILENCE, UNKNOWN = "_silence_", "_unknown_"
DIGITAL_SILENCE = 0.2
"""Share of the silences that are exactly zero, as a muted microphone delivers."""

Int64 = NDArray[np.int64]


class Kind(IntEnum):
    """How an example is made."""

    WORD = 0
    HALF_WORD = 1
    SPEECH = 2
    SILENCE = 3
    GLUED_WORDS = 4
    MINED = 5


@dataclass(frozen=True)
class Plan:
    """The examples of an epoch: how each is made, from which clip, and its label; shapes (n,)."""

    kinds: Int64
    clips: Int64
    labels: Int64


class Examples:
    """Draws and makes the examples of an epoch.

    Parameters
    ----------
    clips : Clips
        Of the training speakers.
    labels : list of str
        `_silence_`, `_unknown_` and the keywords.
    mixture : Mixture
    augmenter : Augmenter
    mined : sequence of ndarray, int16
        Windows that an earlier model took for keywords.
    """

    def __init__(
        self, clips: Clips, labels: list[str], mixture: Mixture, augmenter: Augmenter, mined: Sequence[Int16] = ()
    ) -> None:
        self.clips = clips
        self.labels = labels
        self.mixture = mixture
        self.augmenter = augmenter
        self.mined = mined

    def batches(self, epoch: int, size: int, seed: int) -> Iterator[tuple[Float32, Int64]]:
        """Spectrograms (size, 124, 129) and labels (size,) of an epoch, which depend on `seed` and `epoch` alone."""
        rng = np.random.default_rng((seed, epoch))
        _seed_audiomentations(rng)
        plan = self.plan(rng)
        for start in range(0, len(plan.labels) // size * size, size):
            rows = range(start, start + size)
            windows = np.stack([self.make(Kind(plan.kinds[i]), int(plan.clips[i]), rng) for i in rows])
            yield spectrograms(windows), plan.labels[start : start + size]

    def plan(self, rng: Rng) -> Plan:
        """Which examples make up an epoch, in random order."""
        mixture = self.mixture
        words = np.concatenate([self._draw_word(word, rng) for word in sorted(set(self.clips.words.tolist()))])
        keywords = np.flatnonzero(np.isin(self.clips.words, self.labels))
        halves = rng.choice(keywords, mixture.half_words)
        others = [mixture.speech_crops, mixture.silences, mixture.glued_words, mixture.mined]
        kinds = np.repeat(list(Kind), [len(words), mixture.half_words, *others])
        clips = np.concatenate([words, halves, rng.choice(len(self.clips.words), sum(others))])
        unknown, silence = self.labels.index(UNKNOWN), self.labels.index(SILENCE)
        labels = np.where(kinds == Kind.SILENCE, silence, unknown)
        labels[: len(words)] = [self._label(word) for word in self.clips.words[words]]
        order = rng.permutation(len(kinds))
        return Plan(kinds[order], clips[order], labels[order])

    def make(self, kind: Kind, clip: int, rng: Rng) -> Float32:
        """One window: shape (16000,)."""
        if kind is Kind.SILENCE:
            return self._silence(rng)
        if kind in {Kind.SPEECH, Kind.MINED}:
            recordings = self.augmenter.speech if kind is Kind.SPEECH else self.mined
            return self.augmenter(random_crop(recordings, rng), rng)
        word = self.augmenter.change_speed(as_float(self.clips.samples[clip]), rng)
        if kind is Kind.GLUED_WORDS:
            return self.augmenter(self._glue(word, rng), rng)
        place = self.augmenter.cut_word if kind is Kind.HALF_WORD else self.augmenter.shift_word
        return self.augmenter(place(word, rng), rng)

    def steps(self, size: int) -> int:
        """Batches an epoch."""
        return len(self.plan(np.random.default_rng(0)).labels) // size

    def _glue(self, word: Float32, rng: Rng) -> Float32:
        """A word's first or last part with the other part of a word that is no keyword."""
        others = np.flatnonzero(~np.isin(self.clips.words, self.labels))
        parts = [word, as_float(self.clips.samples[rng.choice(others)])]
        first, second = rng.permutation(2)
        return self.augmenter.glue_words(parts[first], parts[second], rng)

    def _draw_word(self, word: str, rng: Rng) -> Int64:
        clips = np.flatnonzero(self.clips.words == word)
        if word not in self.labels:
            return rng.permutation(clips)[: self.mixture.per_unknown_word]
        rounds = -(-self.mixture.per_keyword // len(clips))
        return np.concatenate([rng.permutation(clips) for _ in range(rounds)])[: self.mixture.per_keyword]

    def _label(self, word: str) -> int:
        return self.labels.index(word if word in self.labels else UNKNOWN)

    def _silence(self, rng: Rng) -> Float32:
        if rng.random() < DIGITAL_SILENCE:
            return np.zeros(WINDOW_SAMPLES, np.float32)
        return random_crop(self.augmenter.noise, rng) * np.float32(10 ** rng.uniform(-3, 0))


def _seed_audiomentations(rng: Rng) -> None:
    # audiomentations draws from the global generators of Python and numpy.
    random.seed(int(rng.integers(2**32)))
    np.random.seed(int(rng.integers(2**32)))  # noqa: NPY002
