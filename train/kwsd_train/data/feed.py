"""What a network is fed: batches without end for training, and arrays for validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kwsd.frontend import Float32
from kwsd_train.data.augment import Augmenter, random_crop
from kwsd_train.data.dataset import Clips, audio_files, load_recordings
from kwsd_train.data.features import as_float, spectrograms
from kwsd_train.data.mixture import SILENCE, UNKNOWN, Examples, Int64
from kwsd_train.data.split import SPLITS
from kwsd_train.recipe import Augmentation, Recipe

TUTORIAL_SHUFFLE = 10_000
VALIDATION_OTHERS = 600
"""Windows of running speech, and of silence, that validation adds to the clips."""


@dataclass(frozen=True)
class Feed:
    """The data of a run.

    Parameters
    ----------
    batches : callable
        From the number of epochs done to what Keras takes as data: spectrograms and labels, without end.
    steps : int
        Batches an epoch.
    validation : (ndarray, ndarray)
        Spectrograms (n, 124, 129) and labels (n,).
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms of recordings, for networks that take constants from them.
    """

    batches: Callable[[int], Any]
    steps: int
    validation: tuple[Float32, Int64]
    examples: Float32


def make_feed(recipe: Recipe, data: Path, labels: list[str], clips: Clips) -> Feed:
    """The data that a recipe asks for."""
    if not (recipe.mixture and recipe.augmentation):
        return _fixed(recipe, labels, clips)
    mined = load_recordings(data / "mined", SPLITS) if recipe.mixture.mined else []
    augmenter = _augmenter(recipe.augmentation, data)
    examples = Examples(clips.of("training"), labels, recipe.mixture, augmenter, mined)
    validation = _validation(recipe, data, labels, clips.of("validation"))
    steps = examples.steps(recipe.batch_size)
    return Feed(lambda first: _batches(examples, recipe, first), steps, validation, validation[0])


def arrays(clips: Clips, labels: list[str]) -> tuple[Float32, Int64]:
    """Spectrograms (n, 124, 129) and labels (n,); words that are no label count as `_unknown_`."""
    known = {label: index for index, label in enumerate(labels)}
    truth = np.array([known.get(word, known.get(UNKNOWN, -1)) for word in clips.words.tolist()], np.int64)
    return spectrograms(as_float(clips.samples)), truth


def _fixed(recipe: Recipe, labels: list[str], clips: Clips) -> Feed:
    inputs, truth = arrays(clips.of("training"), labels)
    order = np.random.default_rng(recipe.seed).permutation(len(truth))  # the files are sorted by word
    examples = tf.data.Dataset.from_tensor_slices((inputs[order], truth[order]))
    batches = examples.batch(recipe.batch_size).cache().shuffle(TUTORIAL_SHUFFLE).repeat().prefetch(tf.data.AUTOTUNE)
    steps = -(-len(truth) // recipe.batch_size)
    return Feed(lambda _: batches, steps, arrays(clips.of("validation"), labels), inputs)


def _augmenter(settings: Augmentation, data: Path) -> Augmenter:
    noise, speech = (load_recordings(data / kind, ["training"]) for kind in ("noise", "speech"))
    return Augmenter(settings, noise, speech, audio_files(data / "rir"))


def _batches(examples: Examples, recipe: Recipe, first: int) -> Iterator[tuple[Float32, Int64]]:
    for epoch in count(first):
        yield from examples.batches(epoch, recipe.batch_size, recipe.seed)


def _validation(recipe: Recipe, data: Path, labels: list[str], clips: Clips) -> tuple[Float32, Int64]:
    rng = np.random.default_rng(recipe.seed)
    noise, speech = (load_recordings(data / kind, ["validation"]) for kind in ("noise", "speech"))
    others = np.stack([random_crop(kind, rng) for kind in (speech, noise) for _ in range(VALIDATION_OTHERS)])
    inputs, truth = arrays(clips, labels)
    unknown, silence = (np.full(VALIDATION_OTHERS, labels.index(label)) for label in (UNKNOWN, SILENCE))
    return np.concatenate([inputs, spectrograms(others)]), np.concatenate([truth, unknown, silence])
