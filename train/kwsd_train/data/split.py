"""Division of recordings into training, validation and testing, by speaker."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from kwsd.errors import AudioDataError, UsageError

Split = Literal["training", "validation", "testing"]
SPLITS: tuple[Split, ...] = ("training", "validation", "testing")
LISTS: dict[str, Split] = {"validation_list.txt": "validation", "testing_list.txt": "testing"}
"""Names of the files in a data set that assign single clips to a split."""
MAX_CLIPS_PER_WORD = 2**27 - 1
"""Constant in the official rule that assigns speakers to splits; see `split_of_speaker`."""
VALIDATION_PERCENT, TESTING_PERCENT = 10, 10


def speaker_of_clip(name: str) -> str:
    """Return the speaker from a clip's file name.

    The speaker is the part before ``_nohash_``, or the whole name if it does not contain ``_nohash_``.
    """
    return name.partition("_nohash_")[0]


def split_of_speaker(speaker: str) -> Split:
    """Return the official split of a speaker: 10 % validation, 10 % testing, 80 % training.

    The rule and its constants come from the function `which_set` in the README of the Speech Commands data set
    (arXiv:1804.03209, section 7.1). The rule hashes the speaker's name, so a speaker stays in one split when clips are
    added.
    """
    digest = int(hashlib.sha1(os.fsencode(speaker), usedforsecurity=False).hexdigest(), 16)
    percent = (digest % (MAX_CLIPS_PER_WORD + 1)) * (100.0 / MAX_CLIPS_PER_WORD)
    if percent < VALIDATION_PERCENT:
        return "validation"
    return "testing" if percent < VALIDATION_PERCENT + TESTING_PERCENT else "training"


def official_splits(folder: Path, paths: Sequence[Path], speakers: Sequence[str]) -> list[Split]:
    """Return the split of each recording.

    If a list file in the folder names a recording, the list file determines the split of the recording. The speaker
    determines the split of every recording that the list files do not name.

    Parameters
    ----------
    folder : Path
        Folder of word folders or recordings. The files ``validation_list.txt`` and ``testing_list.txt`` in the folder
        are optional.
    paths : sequence of Path
        Files in `folder` and its subfolders.
    speakers : sequence of str
        Name of the speaker of each file.
    """
    listed = _read_lists(folder)
    return [
        listed.get(_list_entry(path.relative_to(folder)), split_of_speaker(speaker))
        for path, speaker in zip(paths, speakers, strict=True)
    ]


def random_splits(count: int, seed: int) -> list[Split]:
    """Return the random split of TensorFlow's tutorial: 80 % training, 10 % validation, 10 % testing.

    In a random split, one speaker can be in several splits. Therefore the accuracy that is measured with a random split
    is higher than the accuracy on new speakers.
    """
    order = np.random.default_rng(seed).permutation(count)
    splits: list[Split] = ["training"] * count
    for place, index in enumerate(order[: count - int(0.8 * count)]):
        splits[index] = "validation" if place % 2 else "testing"
    return splits


def check_split_name(split: str) -> None:
    """Raise a `UsageError` if `split` is neither the name of a split nor "all"."""
    if split not in {*SPLITS, "all"}:
        raise UsageError(f"there is no split {split!r}: choose {', '.join(SPLITS)} or all")


def _read_lists(folder: Path) -> dict[str, Split]:
    listed: dict[str, Split] = {}
    for name, split in LISTS.items():
        path = folder / name
        if path.is_file():
            listed |= {_list_entry(Path(line)): split for line in _read_lines(path)}
    return listed


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise AudioDataError(f"cannot read {path}: {error}") from None


def _list_entry(path: Path) -> str:
    # The upstream lists name .wav files, but the same clip may be stored as FLAC.
    return path.with_suffix("").as_posix()
