"""The layout of a data folder. The layout defines which folders are word folders and which files are sound files."""

import re
from pathlib import Path

from kwsd.audio.formats import HEAD_BYTES, foreign_format, is_container
from kwsd.audio.reader import printable
from kwsd.clips.sorting import NO_WORDS
from kwsd.errors import UsageError

LAYOUT = "kwsd-train wants a folder for each word, such as yes/anna_nohash_0.wav and no/anna_nohash_0.wav"

READ_SUFFIXES = frozenset(
    {".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".aifc", ".au", ".snd"}
    | {".w64", ".rf64", ".caf", ".sph"}
)
FOREIGN_SUFFIXES = frozenset({".m4a", ".mp4", ".aac", ".wma", ".webm", ".amr", ".ape", ".wv"})
"""File name endings of sound formats that kwsd cannot read. Files with these endings are reported as unusable."""

PART_NAMES = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"}
    | {"clips", "wav", "wavs", "audio", "data", "recordings"}
)
FOLD = re.compile(r"(fold|part|split)[-_ ]?\d+")
"""Names of folders that divide a data set into splits and are therefore not word folders."""

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl"})


def words_folder(data: Path) -> Path:
    """Return the folder that contains the word folders.

    The word folders are in the folder ``speech_commands`` inside the data folder, or directly in the data folder.
    """
    inside = data / "speech_commands"
    return inside if inside.is_dir() else data


def word_names(data: Path) -> list[str]:
    """Return the sorted names of the word folders.

    Folders whose names begin with ``_`` or ``.`` are left out.

    Raises
    ------
    UsageError
        The data folder does not exist, a folder name is not UTF-8, or the subfolders are not word folders.
    """
    folder = words_folder(data)
    if not folder.is_dir():
        raise UsageError(f"there is no data folder {printable(folder)}")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    names = [name for name in names if name not in NO_WORDS]
    odd = next((name for name in names if printable(name) != name or not name.isprintable()), None)
    if odd is not None:
        raise UsageError(f"the name of the folder {str(folder / odd)!a} is not printable UTF-8: rename the folder")
    _check_words(folder, names)
    return names


def audio_files(folder: Path) -> list[Path]:
    """Return the sorted paths of the sound files in a folder and its subfolders, without hidden files."""
    return sorted(path for path in folder.rglob("*") if not path.name.startswith(".") and _is_sound(path))


def _check_words(folder: Path, names: list[str]) -> None:
    tables = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in TABLE_SUFFIXES)
    if names and all(name.lower() in PART_NAMES or FOLD.fullmatch(name.lower()) for name in names):
        raise UsageError(f"the folders of {printable(folder)} are not words ({', '.join(names[:3])}): {LAYOUT}")
    if tables and not names:
        raise UsageError(
            f"{printable(folder)} has a table of labels ({printable(tables[0])}), but no folders: {LAYOUT}"
        )


def _is_sound(path: Path) -> bool:
    if path.suffix.lower() in READ_SUFFIXES | FOREIGN_SUFFIXES:
        # A broken link is reported when it is read. A FIFO would block.
        return path.is_file() or not path.exists()
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return is_container(head) or bool(foreign_format(head))
