"""Moves clips into a data folder of ``kwsd-train``; see docs/training.md."""

import shutil
from pathlib import Path

from kwsd.errors import OutputError

SPEAKER = "reviewed"
"""Speaker identifier in the file names of all sorted clips. The rule of the Speech Commands dataset assigns this
speaker to the training part.

A household has few speakers, and a measurement is meaningful only for speakers that the model does not know."""

WORDS, NO_KEYWORD = "speech_commands", "mined"

NO_WORDS = frozenset({"speech", "noise", "rir", NO_KEYWORD})
"""Names of the folders in a data folder that do not contain words."""


def is_folder_name(word: str) -> bool:
    """Whether a word can be the name of a folder of clips."""
    return bool(word) and word[0] not in "._" and "/" not in word and word.isprintable() and word not in NO_WORDS


def move_to_word(clip: Path, word: str, data: Path) -> Path:
    """Move a clip to the folder of a word, and return the new path of the clip.

    Parameters
    ----------
    word : str
        Word of the clip, for which `is_folder_name` must return True.

    Raises
    ------
    OutputError
        The clip cannot be moved.
    """
    return _move(clip, _words_folder(data) / word / f"{SPEAKER}_nohash_{clip.name}")


def move_to_no_keyword(clip: Path, data: Path) -> Path:
    """Move a clip to the false alarms, which are negative examples for training, and return the new path of the clip.

    Raises
    ------
    OutputError
        The clip cannot be moved.
    """
    return _move(clip, data / NO_KEYWORD / SPEAKER / clip.name)


def _words_folder(data: Path) -> Path:
    """Return the folder that contains the word folders: a folder in the data folder, or the data folder itself."""
    inside = data / WORDS
    if inside.is_dir() or not data.is_dir():
        return inside
    return data if any(path.is_dir() and is_folder_name(path.name) for path in data.iterdir()) else inside


def _move(clip: Path, target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise OutputError(f"{target} already exists: {clip} was not moved")
        shutil.move(clip, target)
    except OSError as error:
        raise OutputError(f"cannot move {clip} to {target}: {error.strerror}") from None
    return target
