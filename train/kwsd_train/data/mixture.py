"""Generation of the training examples of an epoch: keywords, other words, speech, noise and silence."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import WINDOW_SAMPLES, Float32
from kwsd.models.bundle import SILENCE_LABEL, UNKNOWN_LABEL
from kwsd_train.data.augment import Augmenter, Rng, random_crop
from kwsd_train.data.dataset import ClipSet
from kwsd_train.data.features import as_float, compute_spectrograms
from kwsd_train.data.recording import Int16
from kwsd_train.recipe import Mixture

DIGITAL_SILENCE_SHARE = 0.2
"""Share of the silence examples that consist only of zeros, like the audio of a muted microphone."""

Int64 = NDArray[np.int64]


class ExampleKind(IntEnum):
    """Kind of a training example. The numbers of the kinds define their order in an epoch before shuffling."""

    WORD = 0
    HALF_WORD = 1
    SPEECH = 2
    SILENCE = 3
    GLUED_WORDS = 4
    MINED = 5


@dataclass(frozen=True)
class EpochPlan:
    """Plan of the examples of an epoch: three arrays of shape (n,) with kinds, clip indices and labels.

    Examples of speech, silence and mined windows do not use the clip index.
    """

    kinds: Int64
    clips: Int64
    labels: Int64


class ExampleGenerator:
    """Chooses and makes the training examples of an epoch.

    Parameters
    ----------
    clips : ClipSet
        Clips of the speakers in the training split.
    labels : list of str
        Labels of the network: `_silence_`, `_unknown_` and the keywords.
    mined : sequence of ndarray, int16
        Windows that do not contain a keyword, although an earlier model detected a keyword in them.
    """

    def __init__(
        self, clips: ClipSet, labels: list[str], mixture: Mixture, augmenter: Augmenter, mined: Sequence[Int16] = ()
    ) -> None:
        self.clips = clips
        self.labels = labels
        self.mixture = mixture
        self.augmenter = augmenter
        self.mined = mined

    def batches(self, epoch: int, size: int, seed: int) -> Iterator[tuple[Float32, Int64]]:
        """Yield the batches of an epoch: spectrograms (size, 124, 129) and labels (size,).

        The batches depend only on `seed` and `epoch`.

        The last batch of an epoch is left out if it is not full.
        """
        rng = np.random.default_rng((seed, epoch))
        _seed_audiomentations(rng)
        plan = self.plan_epoch(rng)
        for start in range(0, len(plan.labels) // size * size, size):
            rows = range(start, start + size)
            windows = np.stack([self.make_window(ExampleKind(plan.kinds[i]), int(plan.clips[i]), rng) for i in rows])
            yield compute_spectrograms(windows), plan.labels[start : start + size]  # (size, 16000) -> (size, 124, 129)

    def plan_epoch(self, rng: Rng) -> EpochPlan:
        """Choose the examples of an epoch, in random order."""
        mixture = self.mixture
        words = np.concatenate([self._draw_clips(word, rng) for word in sorted(set(self.clips.words.tolist()))])
        keywords = np.flatnonzero(np.isin(self.clips.words, self.labels))
        # A stream shows half words at the ends of the window. They are not the keyword, so their label is unknown.
        halves = rng.choice(keywords, mixture.half_words)
        others = [mixture.speech_crops, mixture.silences, mixture.glued_words, mixture.mined]
        kinds = np.repeat(list(ExampleKind), [len(words), mixture.half_words, *others])  # (n,)
        clips = np.concatenate([words, halves, rng.choice(len(self.clips.words), sum(others))])  # (n,)
        unknown, silence = self.labels.index(UNKNOWN_LABEL), self.labels.index(SILENCE_LABEL)
        labels = np.where(kinds == ExampleKind.SILENCE, silence, unknown)
        labels[: len(words)] = [self._label_index(word) for word in self.clips.words[words]]
        order = rng.permutation(len(kinds))
        return EpochPlan(kinds[order], clips[order], labels[order])

    def make_window(self, kind: ExampleKind, clip: int, rng: Rng) -> Float32:
        """Return the audio window of one example, shape (16000,)."""
        if kind is ExampleKind.SILENCE:
            return self._make_silence(rng)
        if kind in {ExampleKind.SPEECH, ExampleKind.MINED}:  # running sound: neither speed nor position matters
            recordings = self.augmenter.speech if kind is ExampleKind.SPEECH else self.mined
            return self.augmenter(random_crop(recordings, rng), rng)
        word = self.augmenter.change_speed(as_float(self.clips.samples[clip]), rng)
        if kind is ExampleKind.GLUED_WORDS:
            return self.augmenter(self._glue_with_other_word(word, rng), rng)
        place = self.augmenter.cut_word if kind is ExampleKind.HALF_WORD else self.augmenter.shift_word
        return self.augmenter(place(word, rng), rng)

    def batches_per_epoch(self, size: int) -> int:
        """Return the number of full batches in an epoch."""
        return len(self.plan_epoch(np.random.default_rng(0)).labels) // size

    def _glue_with_other_word(self, word: Float32, rng: Rng) -> Float32:
        """Join a part of any word with a part of a word that is not a keyword, in random order."""
        others = np.flatnonzero(~np.isin(self.clips.words, self.labels))
        parts = [word, as_float(self.clips.samples[rng.choice(others)])]
        first, second = rng.permutation(2)
        return self.augmenter.glue_words(parts[first], parts[second], rng)

    def _draw_clips(self, word: str, rng: Rng) -> Int64:
        """Return random clips of a word for an epoch. If a keyword has too few clips, the clips are repeated."""
        clips = np.flatnonzero(self.clips.words == word)
        if word not in self.labels:
            return rng.permutation(clips)[: self.mixture.per_unknown_word]
        # The numbers of repetitions of any two clips differ by at most one.
        rounds = -(-self.mixture.per_keyword // len(clips))
        return np.concatenate([rng.permutation(clips) for _ in range(rounds)])[: self.mixture.per_keyword]

    def _label_index(self, word: str) -> int:
        return self.labels.index(word if word in self.labels else UNKNOWN_LABEL)

    def _make_silence(self, rng: Rng) -> Float32:
        """Return a window of zeros, or a window of noise with a random gain between -60 and 0 dB."""
        if rng.random() < DIGITAL_SILENCE_SHARE:
            return np.zeros(WINDOW_SAMPLES, np.float32)
        return random_crop(self.augmenter.noise, rng) * np.float32(10 ** rng.uniform(-3, 0))


def _seed_audiomentations(rng: Rng) -> None:
    # audiomentations draws from the global generators of Python and numpy.
    random.seed(int(rng.integers(2**32)))
    np.random.seed(int(rng.integers(2**32)))  # noqa: NPY002
