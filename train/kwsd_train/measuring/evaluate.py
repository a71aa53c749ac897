"""Measurement of a model on clips: accuracy with confidence intervals, accuracy by word, and confusion matrix."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from kwsd.errors import UsageError
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd.models.bundle import RESERVED_LABELS, SILENCE_LABEL, UNKNOWN_LABEL, keywords_among
from kwsd.models.model import Model
from kwsd_train.data.dataset import ClipSet, load_clips
from kwsd_train.data.features import as_float
from kwsd_train.data.layout import audio_files, word_names, words_folder
from kwsd_train.data.recording import Int16, read_recording
from kwsd_train.data.split import check_split_name

SILENCE_EVERY = 10 * SAMPLE_RATE
"""Number of samples from the start of one silence window to the start of the next silence window.

The silence windows use one second out of every ten seconds of background noise.
"""


class Proportion(msgspec.Struct, frozen=True):
    """A count as a share of a total, with Wilson's 95 % confidence interval (J. Am. Stat. Assoc. 22, 1927, p. 209).

    Parameters
    ----------
    count, of : int
        The counted number and the total number.
    share, low, high : float
        The share `count / of`, and the lower and upper limit of its confidence interval. If the total is zero, the
        share is NaN and the interval is [0, 1].
    """

    count: int
    of: int
    share: float
    low: float
    high: float


class ClipReport(msgspec.Struct, frozen=True):
    """Measured figures of a model on the clips of a split.

    Parameters
    ----------
    accuracy : Proportion
        Accuracy on the clips of keywords, if only the scores of keywords are compared.
    per_word : dict
        Accuracy for each keyword, if only the scores of keywords are compared.
    full : Proportion or None
        Accuracy on keywords, other words and silence, if the scores of all labels are compared. For a model without
        `_silence_` and `_unknown_`, this accuracy is None.
    rejected : dict
        For each word folder that is not a keyword, the share of clips in which no keyword has the highest score.
    labels : list of str
        Labels of the rows and columns of the confusion matrix.
    confusion : list of list of int
        Number of clips by true label (rows) and recognised label (columns).
    """

    split: str
    accuracy: Proportion
    per_word: dict[str, Proportion]
    full: Proportion | None
    rejected: dict[str, Proportion]
    labels: list[str]
    confusion: list[list[int]]


@lru_cache(maxsize=4096)  # tuning asks for the same few counts tens of thousands of times
def wilson_proportion(count: int, of: int) -> Proportion:
    """Compute a proportion with Wilson's 95 % confidence interval."""
    if of == 0:
        return Proportion(0, 0, float("nan"), 0.0, 1.0)
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return Proportion(count, of, count / of, float(interval.low), float(interval.high))


def keyword_accuracy(words: NDArray[np.str_], scores: Float32, labels: Sequence[str]) -> Proportion:
    """Compute the accuracy on the clips of keywords, if only the scores of keywords are compared.

    Parameters
    ----------
    words : ndarray, shape (n,), str
        Word of each clip. Clips of words that are not keywords are ignored.
    scores : ndarray, shape (n, labels), float32
        Scores of each clip (row) for each label (column).
    labels : sequence of str
        Labels that belong to the columns of `scores`.
    """
    names = np.array(labels)
    is_keyword = ~np.isin(names, list(RESERVED_LABELS))
    counted = np.isin(words, names[is_keyword])
    # (n, labels) -> (n, keywords) -> (n,)
    found = names[is_keyword][scores[:, is_keyword].argmax(1)]
    return wilson_proportion(int((found == words)[counted].sum()), int(counted.sum()))


def evaluate_on_clips(model: Model, data: Path, split: str, *, strict: bool = False) -> tuple[ClipReport, ClipSet]:
    """Measure a model on the clips of a split. The model is measured in its exported form.

    A model with the label `_unknown_` is measured on every word folder and on silence. One second out of every ten
    seconds of background noise counts as silence. A model without the label `_unknown_` is measured only on the folders
    of its keywords.

    Returns
    -------
    ClipReport
    ClipSet
        The measured clips, with a list of the skipped files.

    Raises
    ------
    UsageError
        The split does not exist, or it does not contain a clip of a keyword.
    """
    check_split_name(split)
    clips = load_clips(data, words=measurable_words(model, data), part=split, strict=strict)
    quiet = silence_windows(data) if SILENCE_LABEL in model.labels else clips.samples[:0]
    words = np.concatenate([clips.words, np.full(len(quiet), SILENCE_LABEL)])
    if not np.isin(words, model.keywords).any():
        raise UsageError(f"{data} has no {split} clip of a keyword of model {model.name}")
    scores = model.predict(as_float(np.concatenate([clips.samples, quiet])))
    return make_clip_report(words, scores, model.labels, split), clips


def measurable_words(model: Model, data: Path) -> list[str]:
    """Return the word folders on which a model can be measured.

    A model with the label `_unknown_` is measured on all word folders. A model without the label `_unknown_` is
    measured only on the folders of its keywords.
    """
    folders = word_names(data)
    return folders if set(model.labels) & RESERVED_LABELS else [word for word in folders if word in model.keywords]


def silence_windows(data: Path) -> Int16:
    """Return windows that do not contain a word, shape (n, 16000).

    The result contains windows of zeros, and one second out of every ten seconds of background noise.
    """
    recordings = [read_recording(path) for path in audio_files(words_folder(data) / "_background_noise_")]
    starts = [(row, start) for row in recordings for start in range(0, len(row) - WINDOW_SAMPLES, SILENCE_EVERY)]
    seconds = [row[start : start + WINDOW_SAMPLES] for row, start in starts]
    return np.stack([np.zeros(WINDOW_SAMPLES, np.int16), *seconds])


def make_clip_report(words: NDArray[np.str_], scores: Float32, labels: Sequence[str], split: str) -> ClipReport:
    """Compute the figures of a model from its scores of clips.

    Parameters
    ----------
    words : ndarray, shape (n,), str
        Name of each clip's folder, or ``_silence_`` for a silence window.
    scores : ndarray, shape (n, labels), float32
        Scores of each clip (row) for each label (column).
    labels : sequence of str
        Labels that belong to the columns of `scores`.
    split : str
        Name of the split, which is only written into the result.
    """
    names = np.array(labels)
    keywords = keywords_among(labels)
    others = sorted(set(words.tolist()) - set(keywords))
    found = names[scores.argmax(1)]
    # A word without a label is correct if the model recognises it as unknown.
    truth = np.where(np.isin(words, names), words, UNKNOWN_LABEL)
    shown = list(labels) if set(labels) & RESERVED_LABELS else keywords
    known = np.isin(truth, shown)
    return ClipReport(
        split=split,
        accuracy=keyword_accuracy(words, scores, labels),
        per_word={word: _accuracy_of_word(words, scores, labels, word) for word in keywords if (words == word).any()},
        full=wilson_proportion(int((found == truth).sum()), len(truth)) if len(shown) > len(keywords) else None,
        rejected={word: _rejected(found[words == word], keywords) for word in others},
        labels=shown,
        confusion=[[int(((truth == row) & (found == column) & known).sum()) for column in shown] for row in shown],
    )


def format_clip_report(figures: ClipReport) -> str:
    """Return the measured figures as lines of text."""
    lines = [f"{figures.split}, keywords alone: {_format_proportion(figures.accuracy)}"]
    if figures.full:
        lines.append(f"{figures.split}, all labels: {_format_proportion(figures.full)}")
    lines += ["", "keyword", *(f"  {word:<12}{_format_proportion(share)}" for word, share in figures.per_word.items())]
    if figures.rejected and figures.full:
        lines += [
            "",
            "other words and silence, rejected",
            *(f"  {word:<12}{_format_proportion(share)}" for word, share in figures.rejected.items()),
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


def _accuracy_of_word(words: NDArray[np.str_], scores: Float32, labels: Sequence[str], word: str) -> Proportion:
    return keyword_accuracy(words[words == word], scores[words == word], labels)


def _rejected(found: NDArray[np.str_], keywords: Sequence[str]) -> Proportion:
    return wilson_proportion(int((~np.isin(found, keywords)).sum()), len(found))


def _format_proportion(proportion: Proportion) -> str:
    interval = f"[{proportion.low:.1%}, {proportion.high:.1%}]"
    return f"{proportion.share:7.1%}  {interval}  {proportion.count} of {proportion.of}"
