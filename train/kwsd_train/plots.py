"""Figures, drawn into files without a display."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from kwsd_train.evaluate import Report


def curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """Loss and accuracy by epoch, training and validation."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axes.plot(epochs, [row[key] for row in history], label=label)
        axes.set(xlabel="epoch", ylabel=name, ylim=(0, None if name == "loss" else 1))
        axes.legend()
    figure.savefig(path)


def confusion(figures: "Report", path: Path) -> None:
    """The confusion matrix as a heat map with counts."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(figures.confusion, cmap="Blues")
    figure.colorbar(image)
    places = range(len(figures.labels))
    axes.set(xlabel="recognised", ylabel="spoken", xticks=places, yticks=places, yticklabels=figures.labels)
    axes.set_xticklabels(figures.labels, rotation=45, ha="right")
    middle = max(map(max, figures.confusion)) / 2
    for y, row in enumerate(figures.confusion):
        for x, number in enumerate(row):
            axes.text(x, y, str(number), ha="center", va="center", color="white" if number > middle else "black")
    figure.savefig(path)
