"""How good a model is on clips: accuracy with its interval, by word, and what is taken for what."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from kwsd.errors import UsageError
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.models.bundle import RESERVED_LABELS
from kwsd.models.model import Model
from kwsd_train.data.dataset import Clips, Int16, audio_files, load_clips, read_recording, word_names, words_folder
from kwsd_train.data.features import as_float
from kwsd_train.data.split import check_split

SILENCE = "_silence_"
SILENCE_EVERY = 10 * SAMPLE_RATE
Z95 = 1.959964  # the normal distribution's 97.5 % point


class Share(msgspec.Struct, frozen=True):
    """How many of a number, with the 95 % interval of Wilson (J. Am. Stat. Assoc. 22, 1927, p. 209).

    Parameters
    ----------
    count, of : int
    share, low, high : float
        In [0, 1].
    """

    count: int
    of: int
    share: float
    low: float
    high: float


class Report(msgspec.Struct, frozen=True):
    """Figures of a model on the clips of a split.

    Parameters
    ----------
    accuracy : Share
        Over the keywords alone: the highest score among the keywords counts.
    per_word : dict
        The same, by keyword.
    full : Share or None
        Over keywords, other words and silence, all labels competing; for models that know them.
    rejected : dict
        By folder that is no keyword: clips for which no keyword has the highest score.
    labels : list of str
        Columns of the confusion matrix, and its rows.
    confusion : list of list of int
        Clips by true and recognised label.
    """

    split: str
    accuracy: Share
    per_word: dict[str, Share]
    full: Share | None
    rejected: dict[str, Share]
    labels: list[str]
    confusion: list[list[int]]


def wilson(count: int, of: int) -> Share:
    """A share with its 95 % score interval."""
    if of == 0:
        return Share(0, 0, float("nan"), 0.0, 1.0)
    share, spread = count / of, Z95**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 * np.sqrt(share * (1 - share) / of + spread / of / 4) / (1 + spread)
    return Share(count, of, share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def closed_set(words: NDArray[np.str_], scores: Float32, labels: Sequence[str]) -> Share:
    """Accuracy over the clips of keywords, with the keywords alone competing."""
    names = np.array(labels)
    keyword = ~np.isin(names, list(RESERVED_LABELS))
    known = np.isin(words, names[keyword])
    found = names[keyword][scores[:, keyword].argmax(1)]
    return wilson(int((found == words)[known].sum()), int(known.sum()))


def evaluate(model: Model, data: Path, split: str, *, strict: bool = False) -> tuple[Report, Clips]:
    """Measure a model, as it is shipped, on the clips of a split.

    A model that knows `_unknown_` is measured on every word folder, and on one second in ten of the background noise
    as silence; any other on the folders of its keywords.

    Returns
    -------
    Report
    Clips
        What was measured, and which files were skipped.

    Raises
    ------
    UsageError
        There is no such split, or it has no clip of a keyword.
    """
    check_split(split)
    clips = load_clips(data, words=measured_words(model, data), part=split, strict=strict)
    quiet = silences(data) if SILENCE in model.labels else clips.samples[:0]
    words = np.concatenate([clips.words, np.full(len(quiet), SILENCE)])
    if not np.isin(words, model.keywords).any():
        raise UsageError(f"{data} has no {split} clip of a keyword of model {model.name}")
    scores = model.predict(as_float(np.concatenate([clips.samples, quiet])))
    return report(words, scores, model.labels, split), clips


def measured_words(model: Model, data: Path) -> list[str]:
    """Word folders that a model can be measured on: all, if it knows `_unknown_`, else those of its keywords."""
    folders = word_names(data)
    return folders if set(model.labels) & RESERVED_LABELS else [word for word in folders if word in model.keywords]


def silences(data: Path) -> Int16:
    """Windows without a word, (n, 16000): digital silence, and one second in ten of the background noise."""
    recordings = [read_recording(path) for path in audio_files(words_folder(data) / "_background_noise_")]
    starts = [(row, start) for row in recordings for start in range(0, len(row) - WINDOW_SAMPLES, SILENCE_EVERY)]
    seconds = [row[start : start + WINDOW_SAMPLES] for row, start in starts]
    return np.stack([np.zeros(WINDOW_SAMPLES, np.int16), *seconds])


def report(words: NDArray[np.str_], scores: Float32, labels: Sequence[str], split: str) -> Report:
    """Figures from the scores of clips.

    Parameters
    ----------
    words : ndarray, shape (n,), str
        The folder of each clip, or ``_silence_``.
    scores : ndarray, shape (n, labels), float32
    labels : sequence of str
        Meaning of the scores.
    split : str
        Name of the part of the data, for the record.
    """
    names = np.array(labels)
    keywords = [label for label in labels if label not in RESERVED_LABELS]
    others = sorted(set(words.tolist()) - set(keywords))
    found = names[scores.argmax(1)]
    truth = np.where(np.isin(words, names), words, "_unknown_")
    shown = list(labels) if set(labels) & RESERVED_LABELS else keywords
    known = np.isin(truth, shown)
    return Report(
        split=split,
        accuracy=closed_set(words, scores, labels),
        per_word={word: _closed(words, scores, labels, word) for word in keywords if (words == word).any()},
        full=wilson(int((found == truth).sum()), len(truth)) if len(shown) > len(keywords) else None,
        rejected={word: _rejected(found[words == word], keywords) for word in others},
        labels=shown,
        confusion=[[int(((truth == row) & (found == column) & known).sum()) for column in shown] for row in shown],
    )


def table(figures: Report) -> str:
    """The figures as lines of text."""
    lines = [f"{figures.split}, keywords alone: {_percent(figures.accuracy)}"]
    if figures.full:
        lines.append(f"{figures.split}, all labels: {_percent(figures.full)}")
    lines += ["", "keyword", *(f"  {word:<12}{_percent(share)}" for word, share in figures.per_word.items())]
    if figures.rejected and figures.full:
        lines += [
            "",
            "no keyword, rejected",
            *(f"  {word:<12}{_percent(share)}" for word, share in figures.rejected.items()),
        ]
    wide = max(len(label) for label in figures.labels) + 2
    lines += [
        "",
        "true label, by recognised label",
        " " * wide + "".join(f"{label:>{wide}}" for label in figures.labels),
    ]
    for label, row in zip(figures.labels, figures.confusion, strict=True):
        lines.append(f"{label:<{wide}}" + "".join(f"{number:>{wide}}" for number in row))
    return "\n".join(lines) + "\n"


def _closed(words: NDArray[np.str_], scores: Float32, labels: Sequence[str], word: str) -> Share:
    return closed_set(words[words == word], scores[words == word], labels)


def _rejected(found: NDArray[np.str_], keywords: Sequence[str]) -> Share:
    return wilson(int((~np.isin(found, keywords)).sum()), len(found))


def _percent(share: Share) -> str:
    return f"{share.share:7.1%}  [{share.low:.1%}, {share.high:.1%}]  {share.count} of {share.of}"
