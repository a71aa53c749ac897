"""Functions that read word clips, speech and noise from disk into arrays, and find room impulse responses."""

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
"""Minimum energy of a one-second section of a long clip that counts as containing the whole word.

The minimum energy is a share of the energy of the loudest second in the clip.
"""
ENERGY_FRAME = 160
"""Step, in samples, of the search for the loudest second: 10 ms."""


@dataclass(frozen=True)
class SkippedFile:
    """A file that cannot be used, with the reason in one sentence."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ClipSet:
    """Clips, which are recordings of single words.

    Parameters
    ----------
    words : ndarray, shape (n,), str
        Name of each clip's folder, which is the spoken word.
    splits : ndarray, shape (n,), str
        Name of the split that each clip belongs to.
    samples : ndarray, shape (n, 16000), int16
        One second of each clip. Short clips are padded with zeros at the end. A long clip is cut to the second with the
        most energy.
    seconds : ndarray, shape (n,), float64
        Lengths of the whole files, in seconds.
    skipped : list of SkippedFile
        Files in the word folders that cannot be used.
    changes : list of str
        One sentence for each kind of conversion or trimming, with the number of clips that were changed.
    """

    paths: list[Path]
    words: NDArray[np.str_]
    splits: NDArray[np.str_]
    samples: Int16
    seconds: NDArray[np.float64]
    skipped: list[SkippedFile]
    changes: list[str]

    def select(self, mask: NDArray[np.bool_]) -> "ClipSet":
        """Return a new set with only the clips for which `mask` is true."""
        paths = [path for path, keep in zip(self.paths, mask, strict=True) if keep]
        kept = self.words[mask], self.splits[mask], self.samples[mask], self.seconds[mask]
        return ClipSet(paths, *kept, self.skipped, self.changes)

    def report_files(self, say: Callable[[str], None]) -> None:
        """Report the skipped files and the conversions, with one line for each."""
        for skipped in self.skipped:
            say(f"skipped: {skipped.reason}")
        for change in self.changes:
            say(change)

    def of_split(self, split: str) -> "ClipSet":
        """Return the clips of the given split, or all clips if `split` is ``"all"``."""
        return self if split == "all" else self.select(self.splits == split)

    def count_by_word(self) -> dict[str, int]:
        """Return the number of clips of each word, in alphabetical order of the words."""
        return dict(sorted(Counter(self.words.tolist()).items()))


def load_clips(
    data: Path,
    *,
    words: Iterable[str] = (),
    part: str = "all",
    random_seed: int | None = None,
    strict: bool = False,
) -> ClipSet:
    """Read the clips of several word folders.

    Parameters
    ----------
    data : Path
        Folder that contains the word folders, or a subfolder ``speech_commands`` with the word folders.
    words : iterable of str
        Names of the word folders to read. If the iterable is empty, all word folders are read.
    part : {"training", "validation", "testing", "all"}
        Name of the split to read.
    random_seed : int, optional
        Seed of the tutorial's random split. Without a seed, the official split is used.
    strict : bool
        Raise an error at the first file that cannot be used. By default, a file that cannot be used is skipped.

    Raises
    ------
    UsageError
        The folder is missing, or it does not contain a usable clip of a requested word.
    AudioDataError
        `strict` is true, and a file cannot be used.
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
    """Read the recordings of any length that belong to the given splits; see `recording_paths`.

    If a recording is damaged, only its usable part is read.

    Parameters
    ----------
    strict : bool
        Raise an error at the first damaged or unusable file.
    say : callable, optional
        Function that receives one line of text for each damaged or unusable file. By default, the line is written to
        standard error.

    Raises
    ------
    UsageError
        The folder does not contain a usable recording of the given splits.
    AudioDataError
        `strict` is true, and a file cannot be used.
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

    The name of a file's parent folder is the name of the speaker: ``speech/<speaker>/<file>``. Each file directly in
    `folder` counts as a separate speaker. `kwsd_train.data.split.official_splits` assigns the speakers to splits.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    wanted = set(splits)
    paths = audio_files(folder)
    speakers = [path.stem if path.parent == folder else path.parent.name for path in paths]
    found = official_splits(folder, paths, speakers)
    return [path for path, split in zip(paths, found, strict=True) if split in wanted]


def load_rooms(folder: Path) -> list[Path]:
    """Return the files of room impulse responses that audiomentations can read.

    Unusable files are reported on standard error.
    """
    return plain_rooms(audio_files(folder), print_message)


def fit_window(samples: Int16) -> Int16:
    """Make a clip exactly one second long.

    A clip shorter than one second is padded with zeros. A clip longer than one second is cut to its loudest second.
    """
    if len(samples) <= WINDOW_SAMPLES:
        return np.pad(samples, (0, WINDOW_SAMPLES - len(samples)))
    start = loudest_second(samples)
    return samples[start : start + WINDOW_SAMPLES]


def loudest_second(samples: Int16) -> int:
    """Return the first sample of the second with the most energy above the noise floor.

    If several one-second sections are almost equally loud, the middle section is chosen, so the word lies in the middle
    of the section.

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
            # In a damaged clip, the word may be missing from the usable part.
            recording = load_recording(path, longest_s=longest_s, strict=True)
        except AudioDataError as error:
            if strict:
                raise
            skipped.append(SkippedFile(path, str(error)))
        else:
            recordings.append(recording)
            kept.append(path)
    return kept, recordings, skipped
