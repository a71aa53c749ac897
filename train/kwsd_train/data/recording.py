"""Reading of sound files with any sample rate and any number of channels as 16 kHz mono audio."""

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from kwsd.audio.reader import open_sound
from kwsd.errors import AudioDataError
from kwsd.frontend import SAMPLE_RATE, Float32

Int16 = NDArray[np.int16]

FULL_SCALE = 32768

MAX_CLIP_S = 60.0
"""Maximum length of a clip, in seconds.

A file longer than this limit contains many words, so the position of the labelled word would be unknown.
"""

MAX_RECORDING_S = 24 * 3600.0
"""Maximum length of a recording, in seconds. A recording of this length needs 2.8 GB of memory."""


class Recording(NamedTuple):
    """The samples of a recording, converted to 16 kHz mono.

    Parameters
    ----------
    samples : ndarray, shape (n,), int16
    changes : tuple of str
        Descriptions of the conversions of the audio. The tuple is empty if the file is already 16 kHz mono.
    damage : str
        One sentence that says why the file could not be read to its end. The text is empty if the whole file was read.
    """

    samples: Int16
    changes: tuple[str, ...]
    damage: str

    @property
    def seconds(self) -> float:
        """Length of the recording in seconds."""
        return len(self.samples) / SAMPLE_RATE


def load_recording(path: Path, *, longest_s: float = MAX_RECORDING_S, strict: bool = False) -> Recording:
    """Read a recording. If the file is damaged, only its usable part is read.

    Parameters
    ----------
    strict : bool
        Whether a damaged file raises an error.

    Raises
    ------
    AudioDataError
        The file does not contain usable audio, or the recording is longer than `longest_s` seconds.
    """
    reader = open_sound(path)
    blocks, count, peak, damage = list[Int16](), 0, 0.0, ""
    try:
        for block in reader.blocks():
            peak = max(peak, float(np.abs(block).max()))
            blocks.append(_as_int16(block))
            count += len(block)
            if count > longest_s * SAMPLE_RATE:
                break
    except AudioDataError as error:
        if strict or not blocks:
            raise
        damage = str(error)
    if count > longest_s * SAMPLE_RATE:
        raise AudioDataError(f"{reader.name} is longer than {longest_s:.0f} s: cut it into shorter files")
    changes = []
    if reader.rate != SAMPLE_RATE:
        changes.append(f"converted from {reader.rate} Hz to {SAMPLE_RATE} Hz")
    if reader.channels > 1:
        changes.append(f"mixed from {reader.channels} channels to one")
    if peak > 1:
        changes.append("limited to full scale, which their samples exceed")
    return Recording(np.concatenate(blocks), tuple(changes), damage)


def read_recording(path: Path) -> Int16:
    """Read a whole recording, and return its samples as 16 kHz mono.

    Raises
    ------
    AudioDataError
        The sound file is unreadable, empty or damaged.
    """
    return load_recording(path, strict=True).samples


def plain_rooms(paths: Sequence[Path], say: Callable[[str], None]) -> list[Path]:
    """Return files of room impulse responses that audiomentations can read.

    Files in other formats are converted, and the converted files are written to a temporary folder.

    Parameters
    ----------
    say : callable
        Function that receives one line of text for each file that cannot be used.
    """
    rooms = []
    for number, path in enumerate(paths):
        try:
            recording = load_recording(path, longest_s=MAX_CLIP_S)
        except AudioDataError as error:
            say(f"skipped: {error}")
            continue
        if recording.damage:
            say(recording.damage)
        if recording.damage or recording.changes or path.suffix.lower() not in {".wav", ".flac"}:
            converted = Path(_temporary_folder().name) / f"{number}.wav"
            soundfile.write(converted, recording.samples, SAMPLE_RATE)
            rooms.append(converted)
        else:
            rooms.append(path)
    return rooms


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kwsd-rooms-")


def _as_int16(samples: Float32) -> Int16:
    return np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
