"""A first overview of a data folder: number of clips, and plots like those in TensorFlow's tutorial."""

from pathlib import Path

import numpy as np

from kwsd.errors import OutputError
from kwsd.frontend import spectrogram
from kwsd_train.data.dataset import ClipSet
from kwsd_train.data.features import as_float
from kwsd_train.data.split import SPLITS
from kwsd_train.reporting.plots import plot_spectrograms, plot_waveform_and_spectrogram, plot_waveforms

SHOWN_CLIPS = 9


def draw_example_clips(clips: ClipSet, folder: Path, seed: int) -> list[Path]:
    """Draw waveforms and spectrograms of randomly chosen clips, and return the paths of the written files.

    Parameters
    ----------
    folder : Path
        Folder for ``waveforms.png``, ``waveform-and-spectrogram.png`` and ``spectrograms.png``. A missing folder is
        created.
    seed : int
        Seed of the random choice of clips.

    Raises
    ------
    OutputError
        One of the files cannot be written.
    """
    chosen = np.random.default_rng(seed).choice(len(clips.paths), min(SHOWN_CLIPS, len(clips.paths)), replace=False)
    words = clips.words[chosen].tolist()
    waveforms = as_float(clips.samples[chosen])
    spectrograms = [spectrogram(waveform) for waveform in waveforms]
    names = ("waveforms.png", "waveform-and-spectrogram.png", "spectrograms.png")
    paths = [folder / name for name in names]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plot_waveforms(waveforms, words, paths[0])
        plot_waveform_and_spectrogram(waveforms[0], spectrograms[0], words[0], paths[1])
        plot_spectrograms(spectrograms, words, paths[2])
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror}") from None
    return paths


def count_clips(clips: ClipSet) -> dict[str, dict[str, int]]:
    """Count the clips of each word in each split."""
    by_split = {split: clips.of_split(split).count_by_word() for split in SPLITS}
    return {word: {split: by_split[split].get(word, 0) for split in SPLITS} for word in clips.count_by_word()}


def format_clip_counts(clips: ClipSet) -> str:
    """Return the number of clips of each word in each split as lines of text."""
    lines = [f"{'word':<12}" + "".join(f"{split:>12}" for split in SPLITS)]
    lines += [f"{word:<12}" + "".join(f"{n:>12}" for n in row.values()) for word, row in count_clips(clips).items()]
    return "\n".join(lines)
