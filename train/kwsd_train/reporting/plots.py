"""Functions that draw plots into files. The functions do not need a display."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kwsd import frontend
from kwsd.frontend import SAMPLE_RATE, Float32

if TYPE_CHECKING:
    from kwsd_train.data.survey import ClipMeasures
    from kwsd_train.measuring.evaluate import ClipReport
    from kwsd_train.measuring.tune import OperatingPoint


def plot_waveforms(samples: Float32, words: Sequence[str], path: Path) -> None:
    """Draw up to nine waveforms, shape (n, 16000), with their words as titles."""
    figure = Figure(figsize=(10, 9), layout="constrained")
    for axes, row, word in zip(figure.subplots(3, 3).flat, samples, words, strict=False):
        axes.plot(np.arange(len(row)) / SAMPLE_RATE, row, linewidth=0.5)
        axes.set(title=word, ylim=(-1.1, 1.1))
    _label_axes(figure, "time, s", "amplitude")
    figure.savefig(path)


def plot_waveform_and_spectrogram(samples: Float32, spectrogram: Float32, word: str, path: Path) -> None:
    """Draw a waveform above its log spectrogram, with a common time axis."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    above.plot(np.arange(len(samples)) / SAMPLE_RATE, samples, linewidth=0.5)
    above.set(title=word, ylabel="amplitude", ylim=(-1.1, 1.1))
    _draw_spectrogram(below, spectrogram)
    below.set(xlabel="time, s", ylabel="frequency, Hz")
    figure.savefig(path)


def plot_spectrograms(spectrograms: Sequence[Float32], words: Sequence[str], path: Path) -> None:
    """Draw up to nine log spectrograms with their words as titles."""
    figure = Figure(figsize=(10, 9), layout="constrained")
    for axes, spectrogram, word in zip(figure.subplots(3, 3).flat, spectrograms, words, strict=False):
        _draw_spectrogram(axes, spectrogram)
        axes.set(title=word)
    _label_axes(figure, "time, s", "frequency, Hz")
    figure.savefig(path)


def _label_axes(figure: Figure, across: str, up: str) -> None:
    """Write one label for all horizontal axes and one label for all vertical axes of a grid of plots."""
    figure.supxlabel(across, fontsize="medium")
    figure.supylabel(up, fontsize="medium")


def _draw_spectrogram(axes: Axes, spectrogram: Float32) -> None:
    tiny = np.finfo(np.float32).eps  # digital silence has no logarithm
    # The transpose puts time on the horizontal axis: (124, 129) -> (129, 124).
    axes.imshow(np.log(spectrogram.T + tiny), origin="lower", aspect="auto", extent=(0, 1, 0, SAMPLE_RATE / 2))


def plot_probabilities(scores: dict[str, float], title: str, path: Path) -> None:
    """Draw the probability of each label as a bar chart."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.bar(list(scores), list(scores.values()))
    axes.set(title=title, ylabel="probability", ylim=(0, 1))
    axes.tick_params("x", rotation=45)
    figure.savefig(path)


def plot_clip(samples: Float32, file: BinaryIO) -> None:
    """Draw the waveform of a window above the window's log spectrogram, as a small WebP picture without axes."""
    figure = Figure(figsize=(2.4, 1.8), dpi=120)
    above, below = figure.subplots(2, gridspec_kw={"height_ratios": (1, 2)})
    above.plot(samples, linewidth=0.5, color="tab:blue")
    above.set(xlim=(0, len(samples)), ylim=(-1, 1))
    _draw_spectrogram(below, frontend.spectrogram(samples))
    for axes in (above, below):
        axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, 0, 0)
    figure.savefig(file, format="webp")


def plot_lengths_and_levels(measures: "ClipMeasures", file: BinaryIO) -> None:
    """Draw a histogram of the lengths of clips and a histogram of their mean levels."""
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    kinds = (("length, s", measures.seconds), ("mean level, dB", measures.mean_db))
    for axes, (name, values) in zip(figure.subplots(1, 2), kinds, strict=True):
        axes.hist(values, bins=60)
        axes.set(xlabel=name, ylabel="clips")
    figure.savefig(file)


def plot_training_curves(history: Sequence[dict[str, float]], file: Path | BinaryIO) -> None:
    """Draw the loss and the accuracy of each epoch, on training data and on validation data."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axes.plot(epochs, [row[key] for row in history], label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=name, ylim=(0, None if name == "loss" else 1.02))
        axes.legend()
    figure.savefig(file)


def plot_det_curves(curve: Sequence["OperatingPoint"], chosen: "OperatingPoint", file: Path | BinaryIO) -> None:
    """Draw a DET curve for each keyword and for all keywords together, and mark the chosen operating point."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    ink = mpl.rcParams["text.color"]
    for word in chosen.missed_by_word:
        alarms = [point.false_alarms.by_word[word].per_hour for point in curve]
        axes.plot(alarms, [point.missed_by_word[word].share for point in curve], label=word, linewidth=1)
    total = [point.false_alarms.all.per_hour for point in curve]
    axes.plot(total, [point.missed.share for point in curve], label="all", color=ink, linewidth=2)
    axes.plot(chosen.false_alarms.all.per_hour, chosen.missed.share, "o", label="chosen", color=ink)
    # A logarithmic axis has no zero, so it is linear below one false alarm in all the hours.
    axes.set_xscale("symlog", linthresh=1 / chosen.false_alarms.all.hours)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(xlabel="false alarms per hour", ylabel="miss rate", xlim=(0, None), ylim=(0, None))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file)


def plot_confusion_matrix(figures: "ClipReport", file: Path | BinaryIO) -> None:
    """Draw a confusion matrix as a heat map that shows the counts."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(figures.confusion, cmap="Blues")
    figure.colorbar(image, ticks=MaxNLocator(integer=True))
    places = range(len(figures.labels))
    axes.set(xlabel="recognised", ylabel="spoken", xticks=places, yticks=places, yticklabels=figures.labels)
    axes.set_xticklabels(figures.labels, rotation=45, ha="right")
    middle = max(map(max, figures.confusion)) / 2
    for y, row in enumerate(figures.confusion):
        for x, number in enumerate(row):
            axes.text(x, y, str(number), ha="center", va="center", color="white" if number > middle else "black")
    figure.savefig(file)
