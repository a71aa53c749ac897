"""Training, validation and testing, kept apart by speaker."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from kwsd.errors import AudioDataError, UsageError

Split = Literal["training", "validation", "testing"]
SPLITS: tuple[Split, ...] = ("training", "validation", "testing")
LISTS: dict[str, Split] = {"validation_list.txt": "validation", "testing_list.txt": "testing"}
MAX_CLIPS_PER_WORD = 2**27 - 1
VALIDATION_PERCENT, TESTING_PERCENT = 10, 10


def speaker(name: str) -> str:
    """The part of a clip's name that says who spoke: what comes before ``_nohash_``, or the whole name."""
    return name.partition("_nohash_")[0]


def split_of_speaker(who: str) -> Split:
    """The official split of a speaker: 10 % validation, 10 % testing.

    The rule, constants included, is `which_set` in the README of the Speech Commands data set (arXiv:1804.03209,
    section 7.1): the SHA-1 of the speaker decides, so that more clips never move a speaker.
    """
    digest = int(hashlib.sha1(who.encode(), usedforsecurity=False).hexdigest(), 16)
    percent = (digest % (MAX_CLIPS_PER_WORD + 1)) * (100.0 / MAX_CLIPS_PER_WORD)
    if percent < VALIDATION_PERCENT:
        return "validation"
    return "testing" if percent < VALIDATION_PERCENT + TESTING_PERCENT else "training"


def official_splits(folder: Path, paths: Sequence[Path], speakers: Sequence[str]) -> list[Split]:
    """Split of each recording: as the lists in `folder` say where they name it, else by its speaker.

    Parameters
    ----------
    folder : Path
        Of words or of recordings, with or without ``validation_list.txt`` and ``testing_list.txt``.
    paths : sequence of Path
        Files below `folder`.
    speakers : sequence of str
        Who speaks in each.
    """
    listed = _read_lists(folder)
    return [
        listed.get(_key(path.relative_to(folder)), split_of_speaker(who))
        for path, who in zip(paths, speakers, strict=True)
    ]


def random_splits(count: int, seed: int) -> list[Split]:
    """The tutorial's split: 80 % training, and the rest halved. It mixes speakers, which flatters the result."""
    order = np.random.default_rng(seed).permutation(count)
    splits: list[Split] = ["training"] * count
    for place, index in enumerate(order[: count - int(0.8 * count)]):
        splits[index] = "validation" if place % 2 else "testing"
    return splits


def check_split(split: str) -> None:
    """Raise a `UsageError` unless `split` is the name of a split, or "all"."""
    if split not in {*SPLITS, "all"}:
        raise UsageError(f"there is no split {split!r}; there are {', '.join(SPLITS)} and all")


def _read_lists(folder: Path) -> dict[str, Split]:
    listed: dict[str, Split] = {}
    for name, split in LISTS.items():
        path = folder / name
        if path.is_file():
            listed |= {_key(Path(line)): split for line in _lines(path)}
    return listed


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise AudioDataError(f"cannot read {path}: {error}") from None


def _key(path: Path) -> str:
    # The upstream lists say .wav; the same clip may be stored as FLAC.
    return path.with_suffix("").as_posix()
