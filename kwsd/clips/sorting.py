"""Sorting of clips into a folder that `kwsd-train` takes as data: docs/training.md."""

import shutil
from pathlib import Path

from kwsd.errors import OutputError

SPEAKER = "reviewed"
"""Who speaks in all sorted clips. The official rule puts this speaker's clips into the training part: the people who
live with a daemon are few, and a figure is worth something only on people whom a model has not heard."""

WORDS, NO_KEYWORD = "speech_commands", "mined"

NO_WORDS = frozenset({"speech", "noise", "rir", NO_KEYWORD})
"""Folders of a data folder that hold no words."""


def is_word(text: str) -> bool:
    """Whether a word can name a folder of clips."""
    return bool(text) and text[0] not in "._" and "/" not in text and text.isprintable() and text not in NO_WORDS


def keep_as_word(clip: Path, word: str, data: Path) -> Path:
    """Move a clip to the clips of a word, for which `is_word` holds; gives where it is.

    Raises
    ------
    OutputError
        It cannot be moved.
    """
    return _move(clip, _words_folder(data) / word / f"{SPEAKER}_nohash_{clip.name}")


def keep_as_no_keyword(clip: Path, data: Path) -> Path:
    """Move a clip to what a model took for a keyword; gives where it is.

    Raises
    ------
    OutputError
        It cannot be moved.
    """
    return _move(clip, data / NO_KEYWORD / SPEAKER / clip.name)


def _words_folder(data: Path) -> Path:
    """The tree of word folders, which some data folders are themselves."""
    inside = data / WORDS
    if inside.is_dir() or not data.is_dir():
        return inside
    return data if any(path.is_dir() and is_word(path.name) for path in data.iterdir()) else inside


def _move(clip: Path, target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise OutputError(f"{target} is there already: {clip} stays where it is")
        shutil.move(clip, target)
    except OSError as error:
        raise OutputError(f"cannot move {clip} to {target}: {error.strerror}") from None
    return target
