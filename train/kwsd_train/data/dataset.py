"""Reads recordings from disk into arrays: word folders, speech, noise and room impulse responses."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import AudioDataError, UsageError
from kwsd.frontend import WINDOW_SAMPLES
from kwsd.log import print_message
from kwsd_train.data.layout import LAYOUT, audio_files, word_names, words_folder
from kwsd_train.data.recording import MAX_CLIP_S, Int16, Recording, load_recording, plain_rooms
from kwsd_train.data.split import SPLITS, Split, official_splits, random_splits, speaker_of_clip

LOUD_SHARE = 0.99
"""Share of the most energy that a second of a long clip can have, from which it contains the whole word."""
ENERGY_FRAME = 160
"""Samples, 10 ms: step in which the loudest second is located."""


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
        One second of each clip. Short clips are padded with zeros at the end. Of long clips, the second with the most
        energy is used.
    seconds : ndarray, shape (n,), float64
        Lengths of the whole files.
    skipped : list of SkippedFile
        Files of the folder that cannot be used.
    changes : list of str
        What was converted or trimmed, with the number of clips: one sentence for each kind.
    """

    paths: list[Path]
    words: NDArray[np.str_]
    splits: NDArray[np.str_]
    samples: Int16
    seconds: NDArray[np.float64]
    skipped: list[SkippedFile]
    changes: list[str]

    def select(self, mask: NDArray[np.bool_]) -> "ClipSet":
        """Return the clips for which `mask` is true."""
        paths = [path for path, keep in zip(self.paths, mask, strict=True) if keep]
        kept = self.words[mask], self.splits[mask], self.samples[mask], self.seconds[mask]
        return ClipSet(paths, *kept, self.skipped, self.changes)

    def report_files(self, say: Callable[[str], None]) -> None:
        """Report the skipped files and the conversions, each in one line."""
        for skipped in self.skipped:
            say(f"skipped: {skipped.reason}")
        for change in self.changes:
            say(change)

    def of_split(self, split: str) -> "ClipSet":
        """Return the clips of one split, or all clips for ``"all"``."""
        return self if split == "all" else self.select(self.splits == split)

    def count_by_word(self) -> dict[str, int]:
        """Count the clips of each word, in alphabetical order."""
        return dict(sorted(Counter(self.words.tolist()).items()))


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
    word_of = {path: word for word in wanted for path in audio_files(folder / word)}
    paths = list(word_of)
    speakers = [speaker_of_clip(path.stem) for path in paths]
    splits = official_splits(folder, paths, speakers) if random_seed is None else random_splits(len(paths), random_seed)
    split_of = {path: name for path, name in zip(paths, splits, strict=True) if part in {name, "all"}}
    kept, recordings, skipped = _read_all(list(split_of), strict=strict, longest_s=MAX_CLIP_S)
    # Files of other splits were not read, so they count as usable here.
    reasons = {file.path: file.reason for file in skipped}
    missing = set(wanted) - {word for path, word in word_of.items() if path not in reasons}
    if missing:
        why = next((f": {reason}" for path, reason in reasons.items() if word_of[path] in missing), f": {LAYOUT}")
        raise UsageError(f"{folder} has no usable clip of {', '.join(sorted(missing))}{why}")
    if not kept:
        where = "" if part == "all" else f" for {part}"
        raise UsageError(f"{folder} has no usable clip of any word{where}: {LAYOUT}")
    return ClipSet(
        kept,
        np.array([word_of[path] for path in kept]),
        np.array([split_of[path] for path in kept]),
        np.stack([fit_window(recording.samples) for recording in recordings]),
        np.array([recording.seconds for recording in recordings]),
        skipped,
        _summarise_changes(recordings),
    )


def load_recordings(
    folder: Path, splits: Iterable[Split], *, strict: bool = False, say: Callable[[str], None] | None = None
) -> list[Int16]:
    """Read recordings of any length that belong to the given splits; see `recording_paths`.

    Of a damaged recording, the usable part is read.

    Parameters
    ----------
    strict : bool
        Raise an error at the first damaged or unusable file.
    say : callable, optional
        Receives one line for each damaged or unusable file; the default writes it to standard error.

    Raises
    ------
    UsageError
        There is no usable recording.
    AudioDataError
        `strict` is set and a file cannot be used.
    """
    names = list(splits)
    samples = []
    for path in recording_paths(folder, names):
        try:
            recording = load_recording(path, strict=strict)
        except AudioDataError as error:
            if strict:
                raise
            (say or print_message)(f"skipped: {error}")
            continue
        if recording.damage:
            (say or print_message)(recording.damage)
        samples.append(recording.samples)
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


def load_rooms(folder: Path) -> list[Path]:
    """Find room impulse responses that audiomentations can read; unusable files are reported on standard error."""
    return plain_rooms(audio_files(folder), print_message)


def fit_window(samples: Int16) -> Int16:
    """Make a clip one second long: pad a short one with zeros, and cut the loudest second out of a long one."""
    if len(samples) <= WINDOW_SAMPLES:
        return np.pad(samples, (0, WINDOW_SAMPLES - len(samples)))
    start = loudest_second(samples)
    return samples[start : start + WINDOW_SAMPLES]


def loudest_second(samples: Int16) -> int:
    """First sample of the second with the most energy above the noise floor; its word lies in the middle.

    The noise floor is the 20th percentile of the energy of 10 ms frames.
    """
    frames = samples[: len(samples) // ENERGY_FRAME * ENERGY_FRAME].reshape(-1, ENERGY_FRAME)  # (frames, 160)
    energy = np.square(frames.astype(np.float64)).sum(1)  # (frames,)
    cumulative = np.concatenate([[0], np.cumsum(np.maximum(0, energy - np.percentile(energy, 20)))])
    width = WINDOW_SAMPLES // ENERGY_FRAME
    sums = cumulative[width:] - cumulative[:-width]
    # A word shorter than a second has the same energy in many windows. The middle one has it in its middle.
    best = int(sums.argmax())
    inside = sums >= LOUD_SHARE * sums[best]
    first = best - int(np.argmin(inside[best::-1])) + 1 if not inside[: best + 1].all() else 0
    last = best + int(np.argmin(inside[best:])) - 1 if not inside[best:].all() else len(sums) - 1
    return (first + last) // 2 * ENERGY_FRAME


def _summarise_changes(recordings: list[Recording]) -> list[str]:
    counts = Counter(change for recording in recordings for change in recording.changes)
    long = sum(len(recording.samples) > WINDOW_SAMPLES for recording in recordings)
    lines = [f"clips {change}: {count}" for change, count in sorted(counts.items())]
    if long:
        lines.append(f"clips longer than a second, of which the second with the most energy is used: {long}")
    return lines


def _read_all(
    paths: list[Path], *, strict: bool, longest_s: float
) -> tuple[list[Path], list[Recording], list[SkippedFile]]:
    kept, recordings, skipped = [], [], []
    for path in paths:
        try:
            # Of a damaged clip, nobody knows whether the word is in the usable part.
            recording = load_recording(path, longest_s=longest_s, strict=True)
        except AudioDataError as error:
            if strict:
                raise
            skipped.append(SkippedFile(path, str(error)))
        else:
            recordings.append(recording)
            kept.append(path)
    return kept, recordings, skipped
