"""Reads recordings from disk into arrays: word folders, speech, noise and room impulse responses."""

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
from kwsd_train.data.split import SPLITS, Split, official_splits, random_splits, speaker_of_clip

Int16 = NDArray[np.int16]
AUDIO_SUFFIXES = frozenset({".wav", ".flac"})


@dataclass(frozen=True)
class SkippedFile:
    """A file that cannot be used, and the reason as one sentence."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ClipSet:
    """Recordings of single words.

    Parameters
    ----------
    words : ndarray, shape (n,), str
        Name of each clip's folder.
    splits : ndarray, shape (n,), str
        Split of each clip.
    samples : ndarray, shape (n, 16000), int16
        One second of each clip. Short clips are padded with zeros at the end, long clips are trimmed.
    skipped : list of SkippedFile
        Files of the folder that cannot be used.
    """

    paths: list[Path]
    words: NDArray[np.str_]
    splits: NDArray[np.str_]
    samples: Int16
    skipped: list[SkippedFile]

    def select(self, mask: NDArray[np.bool_]) -> "ClipSet":
        """Return the clips for which `mask` is true."""
        paths = [path for path, keep in zip(self.paths, mask, strict=True) if keep]
        return ClipSet(paths, self.words[mask], self.splits[mask], self.samples[mask], self.skipped)

    def of_split(self, split: str) -> "ClipSet":
        """Return the clips of one split, or all clips for ``"all"``."""
        return self if split == "all" else self.select(self.splits == split)

    def count_by_word(self) -> dict[str, int]:
        """Count the clips of each word, in alphabetical order."""
        return dict(sorted(Counter(self.words.tolist()).items()))


def words_folder(data: Path) -> Path:
    """Folder that holds the word folders: ``speech_commands`` inside the data folder, or the data folder itself."""
    inside = data / "speech_commands"
    return inside if inside.is_dir() else data


def word_names(data: Path) -> list[str]:
    """Names of the word folders, sorted; folders whose names begin with ``_`` or ``.`` are left out."""
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
) -> ClipSet:
    """Read the clips of a tree of word folders.

    Parameters
    ----------
    data : Path
        Folder of word folders, or a folder with a subfolder ``speech_commands``.
    words : iterable of str
        Word folders to read; if empty, all of them.
    part : {"training", "validation", "testing", "all"}
        Split to read.
    random_seed : int, optional
        Seed of the tutorial's random split. If it is missing, the official split is used.
    strict : bool
        Raise an error at the first file that cannot be used, instead of skipping it.

    Raises
    ------
    UsageError
        The folder is missing, or it has no clip of a wanted word.
    AudioDataError
        `strict` is set and a file cannot be used.
    """
    folder = words_folder(data)
    wanted = list(words) or word_names(data)
    paths = [path for word in wanted for path in audio_files(folder / word)]
    speakers = [speaker_of_clip(path.stem) for path in paths]
    splits = official_splits(folder, paths, speakers) if random_seed is None else random_splits(len(paths), random_seed)
    split_of = {path: name for path, name in zip(paths, splits, strict=True) if part in {name, "all"}}
    kept, samples, skipped = _read_all(list(split_of), strict=strict)
    # Files of other splits were not read, so they count as usable here.
    missing = set(wanted) - {path.parent.name for path in set(paths) - {file.path for file in skipped}}
    if missing:
        raise UsageError(f"{folder} has no usable clip of {', '.join(sorted(missing))}")
    if not kept:
        raise UsageError(f"{folder} has no usable clip of any word{'' if part == 'all' else f' for {part}'}")
    words_of_kept, splits_of_kept = [path.parent.name for path in kept], [split_of[path] for path in kept]
    rows = np.stack([_fit_window(clip) for clip in samples])
    return ClipSet(kept, np.array(words_of_kept), np.array(splits_of_kept), rows, skipped)


def load_recordings(folder: Path, splits: Iterable[Split], *, strict: bool = False) -> list[Int16]:
    """Read recordings of any length that belong to the given splits; see `recording_paths`.

    Raises
    ------
    UsageError
        There is no usable recording.
    AudioDataError
        `strict` is set and a file cannot be used.
    """
    names = list(splits)
    _, samples, _ = _read_all(recording_paths(folder, names), strict=strict)
    if not samples:
        wanted = "" if set(names) == set(SPLITS) else f" for {' or '.join(names)}"
        raise UsageError(f"{folder} has no usable recording{wanted}")
    return samples


def recording_paths(folder: Path, splits: Iterable[Split]) -> list[Path]:
    """Find the recordings below a folder that belong to the given splits.

    The parent folder of a file is its speaker: ``speech/<speaker>/<file>``. A file directly in `folder` counts as a
    separate speaker. `kwsd_train.data.split.official_splits` assigns the speakers to splits.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    wanted = set(splits)
    paths = audio_files(folder)
    speakers = [path.stem if path.parent == folder else path.parent.name for path in paths]
    found = official_splits(folder, paths, speakers)
    return [path for path, split in zip(paths, found, strict=True) if split in wanted]


def audio_files(folder: Path) -> list[Path]:
    """Find the WAV and FLAC files below a folder, sorted; hidden files are left out."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and not p.name.startswith("."))


def read_recording(path: Path) -> Int16:
    """Read the samples of a 16 kHz mono recording.

    Raises
    ------
    AudioDataError
        The file is unreadable, empty or truncated, has another sample rate, or has more than one channel.
    """
    try:
        with soundfile.SoundFile(path) as file:
            _check_format(path, file)
            samples: Int16 = file.read(dtype="int16")
            expected = file.frames
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioDataError(f"{path} cannot be read: {error}") from None
    if len(samples) < expected or _is_truncated_wav(path):
        raise AudioDataError(f"{path} is truncated")
    return samples


def _check_format(path: Path, file: soundfile.SoundFile) -> None:
    if file.channels != 1:
        raise AudioDataError(f"{path} has {file.channels} channels, not one")
    if file.samplerate != SAMPLE_RATE:
        raise AudioDataError(f"{path} has {file.samplerate} Hz, not {SAMPLE_RATE}")
    if file.frames == 0:
        raise AudioDataError(f"{path} is empty")


def _is_truncated_wav(path: Path) -> bool:
    # libsndfile reads a truncated WAV without an error, so the size in the RIFF header is compared instead.
    with path.open("rb") as file:
        head = file.read(8)
    return head[:4] == b"RIFF" and path.stat().st_size < 8 + int.from_bytes(head[4:], "little")


def _read_all(paths: list[Path], *, strict: bool) -> tuple[list[Path], list[Int16], list[SkippedFile]]:
    kept, samples, skipped = [], [], []
    for path in paths:
        try:
            samples.append(read_recording(path))
            kept.append(path)
        except AudioDataError as error:
            if strict:
                raise
            skipped.append(SkippedFile(path, str(error)))
    return kept, samples, skipped


def _fit_window(samples: Int16) -> Int16:
    row = np.zeros(WINDOW_SAMPLES, np.int16)
    row[: len(samples)] = samples[:WINDOW_SAMPLES]
    return row
