"""Data of a training run: endless batches for training, and arrays for validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kwsd.frontend import Float32
from kwsd.models.bundle import SILENCE_LABEL, UNKNOWN_LABEL
from kwsd_train.data.augment import Augmenter, random_crop
from kwsd_train.data.dataset import ClipSet, load_recordings, load_rooms
from kwsd_train.data.features import as_float, compute_spectrograms
from kwsd_train.data.mixture import ExampleGenerator, Int64
from kwsd_train.data.split import SPLITS
from kwsd_train.recipe import Augmentation, Recipe

SHUFFLE_BUFFER = 10_000
"""Size of the shuffle buffer in batches, as in TensorFlow's tutorial."""
VALIDATION_OTHERS = 600
"""Number of speech windows in the validation data.

The number of noise windows in the validation data is equal to the number of speech windows.
"""


@dataclass(frozen=True)
class TrainingData:
    """Training and validation data of a run.

    Parameters
    ----------
    batches : callable
        Function that takes the number of finished epochs and returns endless batches for Keras. Each batch contains
        spectrograms and labels.
    steps_per_epoch : int
        Number of batches in a training epoch.
    validation : (ndarray, ndarray)
        Spectrograms, shape (n, 124, 129), and labels, shape (n,), of the validation examples.
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms from which a network can compute its normalisation constants.
    """

    batches: Callable[[int], Any]
    steps_per_epoch: int
    validation: tuple[Float32, Int64]
    examples: Float32


def make_training_data(recipe: Recipe, data: Path, labels: list[str], clips: ClipSet) -> TrainingData:
    """Prepare the training and validation data of a recipe.

    If the recipe has a table `mixture`, every epoch contains newly augmented examples. If the recipe does not have a
    table `mixture`, every epoch contains the unchanged clips.
    """
    if not (recipe.mixture and recipe.augmentation):
        return _unaugmented(recipe, labels, clips)
    mined = load_recordings(data / "mined", SPLITS) if recipe.mixture.mined else []
    augmenter = _make_augmenter(recipe.augmentation, data)
    generator = ExampleGenerator(clips.of_split("training"), labels, recipe.mixture, augmenter, mined)
    validation = _make_validation(recipe, data, labels, clips.of_split("validation"))
    steps = generator.batches_per_epoch(recipe.batch_size)
    return TrainingData(
        lambda finished: _endless_batches(generator, recipe, finished), steps, validation, validation[0]
    )


def labelled_spectrograms(clips: ClipSet, labels: list[str]) -> tuple[Float32, Int64]:
    """Return spectrograms, shape (n, 124, 129), and labels, shape (n,), of clips.

    Words without a label count as `_unknown_`.
    """
    indices = {label: index for index, label in enumerate(labels)}
    truth = np.array([indices.get(word, indices.get(UNKNOWN_LABEL, -1)) for word in clips.words.tolist()], np.int64)
    return compute_spectrograms(as_float(clips.samples)), truth


def _unaugmented(recipe: Recipe, labels: list[str], clips: ClipSet) -> TrainingData:
    inputs, truth = labelled_spectrograms(clips.of_split("training"), labels)
    order = np.random.default_rng(recipe.seed).permutation(len(truth))  # the files are sorted by word
    examples = tf.data.Dataset.from_tensor_slices((inputs[order], truth[order]))
    batches = examples.batch(recipe.batch_size).cache().shuffle(SHUFFLE_BUFFER).repeat().prefetch(tf.data.AUTOTUNE)
    steps = -(-len(truth) // recipe.batch_size)  # the last batch may be smaller
    return TrainingData(lambda _: batches, steps, labelled_spectrograms(clips.of_split("validation"), labels), inputs)


def _make_augmenter(settings: Augmentation, data: Path) -> Augmenter:
    noise, speech = (load_recordings(data / kind, ["training"]) for kind in ("noise", "speech"))
    return Augmenter(settings, noise, speech, load_rooms(data / "rir"))


def _endless_batches(generator: ExampleGenerator, recipe: Recipe, finished: int) -> Iterator[tuple[Float32, Int64]]:
    for epoch in count(finished):
        yield from generator.batches(epoch, recipe.batch_size, recipe.seed)


def _make_validation(recipe: Recipe, data: Path, labels: list[str], clips: ClipSet) -> tuple[Float32, Int64]:
    rng = np.random.default_rng(recipe.seed)  # every epoch is validated on the same windows
    noise, speech = (load_recordings(data / kind, ["validation"]) for kind in ("noise", "speech"))
    others = np.stack([random_crop(kind, rng) for kind in (speech, noise) for _ in range(VALIDATION_OTHERS)])
    inputs, truth = labelled_spectrograms(clips, labels)
    # Speech without a keyword has the label unknown, and noise has the label silence.
    unknown, silence = (np.full(VALIDATION_OTHERS, labels.index(label)) for label in (UNKNOWN_LABEL, SILENCE_LABEL))
    return np.concatenate([inputs, compute_spectrograms(others)]), np.concatenate([truth, unknown, silence])
