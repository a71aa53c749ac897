"""Labels and clips that a recipe uses from a data folder, and checks of the data before training."""

import hashlib
import os
from pathlib import Path

from kwsd.errors import UsageError
from kwsd.models.bundle import SILENCE_LABEL, UNKNOWN_LABEL
from kwsd_train.data.dataset import ClipSet, load_clips
from kwsd_train.data.layout import audio_files, word_names
from kwsd_train.recipe import Recipe


def label_names(recipe: Recipe, data: Path) -> list[str]:
    """Return the labels of the network's outputs, in order.

    If the recipe has a table `mixture`, `_silence_` and `_unknown_` are the first labels.
    """
    keywords = sorted(recipe.keywords or word_names(data))
    return [SILENCE_LABEL, UNKNOWN_LABEL, *keywords] if recipe.mixture else keywords


def load_recipe_clips(recipe: Recipe, data: Path, *, strict: bool) -> ClipSet:
    """Read the clips of all splits that a recipe needs for training and validation.

    Parameters
    ----------
    strict : bool
        Raise an error at the first file that cannot be used. By default, a file that cannot be used is skipped.

    Raises
    ------
    UsageError
        The data folder is missing, or the folder of a keyword is missing.
    AudioDataError
        `strict` is true, and a file cannot be used.
    """
    words = recipe.keywords if recipe.mixture is None else word_names(data)
    missing = set(recipe.keywords) - set(word_names(data))
    if missing:
        raise UsageError(f"{data} has no folder for {', '.join(sorted(missing))}")
    random_seed = recipe.seed if recipe.split == "random" else None
    return load_clips(data, words=words, random_seed=random_seed, strict=strict)


def check_recipe_data(recipe: Recipe, data: Path, clips: ClipSet, keywords: list[str]) -> None:
    """Raise a `UsageError` if the data lacks a kind of recording that the recipe draws examples from."""
    mixture = recipe.mixture
    if not mixture and len(keywords) == 1:
        raise UsageError(
            f"{data} has only the word {keywords[0]}, and a network with one label finds it in any sound: "
            "add folders of other words, or use a recipe with a mixture, such as tc-resnet"
        )
    by_split = {split: set(clips.of_split(split).words.tolist()) for split in ("training", "validation")}
    untrained = [word for word in keywords if word not in by_split["training"]]
    # If the validation clips do not contain a keyword, the accuracy on keywords is not a number.
    if untrained or by_split["validation"].isdisjoint(keywords):
        lacking = f"of {', '.join(untrained)} for training" if untrained else "of a keyword for validation"
        raise UsageError(
            f"{data} has no clip {lacking}: add clips of other speakers, or name some in validation_list.txt"
        )
    if mixture and mixture.glued_words and by_split["training"] <= set(keywords):
        raise UsageError(
            f"{data} has only keywords, but glued_words needs other words: add some, or set glued_words = 0"
        )
    if mixture and mixture.mined and not (data / "mined").is_dir():
        raise UsageError(f"there is no folder {data / 'mined'}: create it with  kwsd-train mine,  or set mined = 0")
    for kind in ("speech", "noise") if mixture else ():
        if not (data / kind).is_dir():
            raise UsageError(f"there is no folder {data / kind}: a recipe with a mixture needs it")
    if recipe.augmentation and recipe.augmentation.room_share and not audio_files(data / "rir"):
        raise UsageError(f"{data / 'rir'} has no room impulse response: add some, or set room_share = 0")


def hash_clip_names(clips: ClipSet) -> str:
    """Return the SHA-256 of the sorted names of all clips, with one name per line.

    If the hashes of two runs are equal, the two runs used clips with identical names.
    """
    names = sorted(_clip_name(path, word) for path, word in zip(clips.paths, clips.words.tolist(), strict=True))
    return hashlib.sha256(os.fsencode("\n".join(names))).hexdigest()


def _clip_name(path: Path, word: str) -> str:
    parent = path.parent.name
    return f"{word}/{path.name}" if parent == word else f"{word}/{parent}/{path.name}"
