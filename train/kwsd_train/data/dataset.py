"""Recordings on disk become arrays: word folders, and folders of speech, noise and rooms."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from kwsd.clips.sorting import NO_WORDS
from kwsd.errors import AudioDataError, UsageError
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES
from kwsd_train.data.split import Split, official_splits, random_splits, speaker

Int16 = NDArray[np.int16]
SUFFIXES = frozenset({".wav", ".flac"})


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Clips:
    """Recordings of single words.

    Parameters
    ----------
    paths : list of Path
    words : ndarray, shape (n,), str
        The folder of each clip.
    splits : ndarray, shape (n,), str
    samples : ndarray, shape (n, 16000), int16
        Padded with zeros or trimmed at the end.
    skipped : list of Skipped
    """

    paths: list[Path]
    words: NDArray[np.str_]
    splits: NDArray[np.str_]
    samples: Int16
    skipped: list[Skipped]

    def select(self, mask: NDArray[np.bool_]) -> "Clips":
        """The clips for which `mask` is true."""
        paths = [path for path, keep in zip(self.paths, mask, strict=True) if keep]
        return Clips(paths, self.words[mask], self.splits[mask], self.samples[mask], self.skipped)

    def of(self, split: str) -> "Clips":
        """The clips of one split; every clip for ``"all"``."""
        return self if split == "all" else self.select(self.splits == split)

    def counts(self) -> dict[str, int]:
        """Clips a word, by word."""
        return dict(sorted(Counter(self.words.tolist()).items()))


def words_folder(data: Path) -> Path:
    """The tree of word folders: ``speech_commands`` inside the data folder, or the data folder itself."""
    inside = data / "speech_commands"
    return inside if inside.is_dir() else data


def word_names(data: Path) -> list[str]:
    """Sorted names of the word folders; folders that begin with ``_`` or ``.`` hold no word."""
    folder = words_folder(data)
    if not folder.is_dir():
        raise UsageError(f"there is no data folder {folder}")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    return [name for name in names if name not in NO_WORDS]


def load_clips(
    data: Path,
    *,
    words: Iterable[str] = (),
    part: str = "all",
    random_seed: int | None = None,
    strict: bool = False,
) -> Clips:
    """Read a tree of word folders.

    Parameters
    ----------
    data : Path
        A folder of word folders, or a folder that has one named ``speech_commands``.
    words : iterable of str
        Folders to read; none for all.
    part : {"training", "validation", "testing", "all"}
        Clips to read.
    random_seed : int, optional
        Seed of the tutorial's random split; the official one without it.
    strict : bool
        Raise at the first file that cannot be used, instead of skipping it.

    Raises
    ------
    UsageError
        There is no such folder, or no clip of a wanted word.
    AudioDataError
        With `strict`: a file cannot be used.
    """
    folder = words_folder(data)
    wanted = list(words) or word_names(data)
    paths = [path for word in wanted for path in audio_files(folder / word)]
    speakers = [speaker(path.stem) for path in paths]
    splits = official_splits(folder, paths, speakers) if random_seed is None else random_splits(len(paths), random_seed)
    split_of = {path: name for path, name in zip(paths, splits, strict=True) if part in {name, "all"}}
    kept, samples, skipped = _read_all(list(split_of), strict=strict)
    missing = set(wanted) - {path.parent.name for path in set(paths) - {file.path for file in skipped}}
    if missing:
        raise UsageError(f"{folder} has no usable clip of {', '.join(sorted(missing))}")
    if not kept:
        raise UsageError(f"{folder} has no usable clip of any word{'' if part == 'all' else f' for {part}'}")
    words_of_kept, splits_of_kept = [path.parent.name for path in kept], [split_of[path] for path in kept]
    rows = np.stack([_fit_window(clip) for clip in samples])
    return Clips(kept, np.array(words_of_kept), np.array(splits_of_kept), rows, skipped)


def load_recordings(folder: Path, splits: Iterable[Split], *, strict: bool = False) -> list[Int16]:
    """Recordings of any length below a folder, of speakers or files of the given splits; see `recording_paths`."""
    _, samples, _ = _read_all(recording_paths(folder, splits), strict=strict)
    if not samples:
        raise UsageError(f"{folder} has no usable recording")
    return samples


def recording_paths(folder: Path, splits: Iterable[Split]) -> list[Path]:
    """Files of recordings below a folder, of speakers or files of the given splits.

    The folder of a file names its speaker, ``speech/<speaker>/<file>``; a file directly in `folder` has one of its own.
    They are split as words are; see `kwsd_train.data.split.official_splits`.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    wanted = set(splits)
    paths = audio_files(folder)
    speakers = [path.stem if path.parent == folder else path.parent.name for path in paths]
    found = official_splits(folder, paths, speakers)
    return [path for path, split in zip(paths, found, strict=True) if split in wanted]


def audio_files(folder: Path) -> list[Path]:
    """Sorted WAV and FLAC files below a folder, hidden files left out."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def read_recording(path: Path) -> Int16:
    """The samples of a 16 kHz mono recording.

    Raises
    ------
    AudioDataError
        The file cannot be read, is empty or truncated, or has another rate or more channels.
    """
    try:
        with soundfile.SoundFile(path) as file:
            _check_format(path, file)
            samples: Int16 = file.read(dtype="int16")
            expected = file.frames
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioDataError(f"{path} cannot be read: {error}") from None
    if len(samples) < expected or _is_cut(path):
        raise AudioDataError(f"{path} is truncated")
    return samples


def _check_format(path: Path, file: soundfile.SoundFile) -> None:
    if file.channels != 1:
        raise AudioDataError(f"{path} has {file.channels} channels, not one")
    if file.samplerate != SAMPLE_RATE:
        raise AudioDataError(f"{path} has {file.samplerate} Hz, not {SAMPLE_RATE}")
    if file.frames == 0:
        raise AudioDataError(f"{path} is empty")


def _is_cut(path: Path) -> bool:
    # libsndfile reads a WAV that ends early without a word, so the size in the RIFF header has to tell.
    with path.open("rb") as file:
        head = file.read(8)
    return head[:4] == b"RIFF" and path.stat().st_size < 8 + int.from_bytes(head[4:], "little")


def _read_all(paths: list[Path], *, strict: bool) -> tuple[list[Path], list[Int16], list[Skipped]]:
    kept, samples, skipped = [], [], []
    for path in paths:
        try:
            samples.append(read_recording(path))
            kept.append(path)
        except AudioDataError as error:
            if strict:
                raise
            skipped.append(Skipped(path, str(error)))
    return kept, samples, skipped


def _fit_window(samples: Int16) -> Int16:
    row = np.zeros(WINDOW_SAMPLES, np.int16)
    row[: len(samples)] = samples[:WINDOW_SAMPLES]
    return row
