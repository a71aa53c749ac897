"""A first look at a data folder: counts, and the tutorial's figures."""

from pathlib import Path

import numpy as np

from kwsd.errors import OutputError
from kwsd.frontend import spectrogram
from kwsd_train.data.dataset import Clips
from kwsd_train.data.features import as_float
from kwsd_train.data.split import SPLITS
from kwsd_train.reporting import plots

SHOWN = 9


def explore(clips: Clips, folder: Path, seed: int) -> list[Path]:
    """Draw waveforms and spectrograms of clips drawn at random.

    Parameters
    ----------
    clips : Clips
    folder : Path
        Takes ``waveforms.png``, ``waveform-and-spectrogram.png`` and ``spectrograms.png``.
    seed : int
        Of the draw.
    """
    chosen = np.random.default_rng(seed).choice(len(clips.paths), min(SHOWN, len(clips.paths)), replace=False)
    words = clips.words[chosen].tolist()
    waveforms = as_float(clips.samples[chosen])
    spectrograms = [spectrogram(waveform) for waveform in waveforms]
    names = ("waveforms.png", "waveform-and-spectrogram.png", "spectrograms.png")
    paths = [folder / name for name in names]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plots.waveforms(waveforms, words, paths[0])
        plots.waveform_and_spectrogram(waveforms[0], spectrograms[0], words[0], paths[1])
        plots.spectrograms(spectrograms, words, paths[2])
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from None
    return paths


def counts(clips: Clips) -> dict[str, dict[str, int]]:
    """Number of clips by word and split."""
    by_split = {split: clips.of(split).counts() for split in SPLITS}
    return {word: {split: by_split[split].get(word, 0) for split in SPLITS} for word in clips.counts()}


def table(clips: Clips) -> str:
    """Clips by word and split, as lines of text."""
    lines = [f"{'word':<12}" + "".join(f"{split:>12}" for split in SPLITS)]
    lines += [f"{word:<12}" + "".join(f"{n:>12}" for n in row.values()) for word, row in counts(clips).items()]
    return "\n".join(lines)
