"""Makes the test audio: ten minutes of real speech and noise, identical for every measurement."""

import random
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from kwsd.audio.file import FileSource
from kwsd.frontend import SAMPLE_RATE, Float32

ROOT = Path(__file__).parent.parent
BUNDLED = [ROOT / "kwsd" / "demo", ROOT / "tests" / "data" / "clips"]
BUILD = ROOT / "build" / "benchmarks"
SECONDS = 600
KINDS = {".flac", ".wav", ".ogg", ".mp3"}


def make_recording(folders: list[Path], seconds: int = SECONDS) -> Path:
    """A WAV file that joins recordings from folders.

    Parameters
    ----------
    folders : list of Path
        Each folder fills an equal part of the time. The order of its files is random but always the same. If a folder
        has too little audio, its files repeat. Without folders, the recordings are those of the demo and the tests:
        single words without pauses.
    seconds : int
        Length of the file.

    Returns
    -------
    Path
        The file: 16 kHz, mono, 16 bit.
    """
    path = BUILD / f"{'audio' if folders else 'words'}-{seconds}.wav"
    folders = folders or BUNDLED
    parts = [_fill(folder, seconds * SAMPLE_RATE // len(folders)) for folder in folders]
    BUILD.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate(parts), SAMPLE_RATE, "PCM_16")
    return path


def _fill(folder: Path, samples: int) -> Float32:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in KINDS)
    if not files:
        raise SystemExit(f"{folder} does not contain sound files")
    random.Random(0).shuffle(files)  # noqa: S311  no secret
    taken, missing = [], samples
    for block in _blocks(cycle(files)):
        taken.append(block[:missing])
        missing -= len(taken[-1])
        if not missing:
            break
    return np.concatenate(taken)


def _blocks(files: Iterable[Path]) -> Iterator[Float32]:
    for file in files:
        for block in FileSource(file, paced=False).blocks():
            yield block.samples
