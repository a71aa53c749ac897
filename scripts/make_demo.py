"""Makes the recording in kwsd/demo/ from a Speech Commands folder: real words in the noise of running water.

usage: make_demo.py SPEECH_COMMANDS_FOLDER

The words come from validation speakers; no shipped model was trained on them. With the chosen random seed, the default
model detects every keyword.
"""

import csv
import random
import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
WORDS = ["go", "stop", "left", "right", "cat", "yes", "no", "up", "house", "down"]
SPACING_S = 2.2
SNR_DB = 15
CLIP_RMS = 0.05
DEMO = Path(__file__).parent.parent / "kwsd" / "demo"


def read_random_clip(folder: Path, word: str, rng: random.Random) -> np.ndarray:
    """A random validation clip of a word, shape (n,), scaled to the common level."""
    names = (folder / "validation_list.txt").read_text().split()
    chosen = folder / rng.choice(sorted(name for name in names if name.startswith(f"{word}/")))
    found = chosen if chosen.exists() else chosen.with_suffix(".flac")
    samples, _ = soundfile.read(found, dtype="float32")
    return samples * CLIP_RMS / np.sqrt(np.mean(samples**2))


def main() -> None:
    """Write the recording, demo.flac, and the position of each word, demo.csv."""
    folder, rng = Path(sys.argv[1]), random.Random(3)
    length = int((len(WORDS) * SPACING_S + 1) * RATE)
    noise, _ = soundfile.read(
        next((folder / "_background_noise_").glob("running_tap.*")), frames=length, dtype="float32"
    )
    mixed = noise * CLIP_RMS * 10 ** (-SNR_DB / 20) / np.sqrt(np.mean(noise**2))
    rows = []
    for position, word in enumerate(WORDS):
        start = int((1 + position * SPACING_S) * RATE)
        samples = read_random_clip(folder, word, rng)
        mixed[start : start + len(samples)] += samples
        rows.append((word, start / RATE, (start + len(samples)) / RATE))
    soundfile.write(DEMO / "demo.flac", mixed, RATE, subtype="PCM_16")
    with (DEMO / "demo.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("word", "start_s", "end_s"), *rows])


main()
