"""Display of a running training in a terminal: progress bars with the remaining time, and training curves."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from math import isfinite, nan
from typing import Any, NamedTuple

import keras
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from kwsd_train.training.run_folder import History

HEIGHT, MINIMUM_HEIGHT = 8, 3
"""Maximum and minimum number of terminal lines of a curve.

Curves are not drawn if the terminal has too few lines for the minimum.
"""
OTHER_LINES = 6
"""Number of terminal lines for the legend, the progress bars, the frames and the cursor."""
NARROW = 70
"""If the terminal has fewer columns than this number, the two curves are drawn one above the other."""
LABEL_WIDTH = 7
"""Number of terminal columns for the scale on the left of a curve."""
SPEED_PERIOD_S = 3600.0
"""Number of seconds over which the mean speed is measured to estimate the remaining time.

This period is long enough to include a validation of the network.
"""

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the eight dots of a Braille character, arranged by row and column (Unicode 15, section 21.1)."""
EMPTY_BRAILLE = 0x2800
MARK = "●"
"""Character that marks a validation figure on a curve."""

TRAINING, VALIDATION = "cyan", "bold yellow"


def show_status(console: Console | None, status: str) -> AbstractContextManager[Any]:
    """Return a context manager that shows a status line in a terminal.

    Without a terminal, the status line is not shown.
    """
    return console.status(status) if console else nullcontext()


class TrainingDisplay(keras.callbacks.Callback):  # type: ignore[misc]
    """Draws progress bars and curves in a terminal during training.

    After the training, the terminal continues to show the last state of the curves.

    Parameters
    ----------
    console : Console
        The terminal in which the display is drawn.
    history : list of dict
        Figures of the finished epochs. `kwsd_train.training.fit.EpochRecorder` appends to this list.
    epochs : int
        Number of epochs of the whole training.
    steps : int
        Number of batches in a training epoch.
    """

    def __init__(self, console: Console, history: History, epochs: int, steps: int) -> None:
        super().__init__()
        self._history, self._epochs, self._done = history, epochs, len(history) * steps
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            expand=True,
            speed_estimate_period=SPEED_PERIOD_S,
        )
        self._epoch = self._bars.add_task(f"epoch {len(history) + 1} of {epochs}", total=steps)
        self._all = self._bars.add_task("all epochs", total=epochs * steps, completed=self._done)
        self._live = Live(console=console, get_renderable=self.draw, refresh_per_second=4)

    def draw(self) -> RenderableType:
        """Return the current display."""
        return Group(TrainingCurves(self._history, self._epochs), self._bars)

    def on_train_begin(self, _logs: dict[str, float] | None = None) -> None:
        """Start to draw the display."""
        self._bars.reset(self._all, completed=self._done)
        self._live.start()

    def on_epoch_begin(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        """Reset the progress bar of the epoch."""
        self._bars.reset(self._epoch, description=f"epoch {epoch + 1} of {self._epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002  Keras' names
        """Advance the progress bars of the epoch and of the training."""
        self._bars.advance(self._epoch)
        self._bars.advance(self._all)

    def on_train_end(self, _logs: dict[str, float] | None = None) -> None:
        """Set the shown remaining time to zero, because the training may have stopped before the last epoch."""
        self._bars.update(self._all, total=self._bars.tasks[self._all].completed)

    def close(self) -> None:
        """Stop drawing and restore the terminal, even after an error during the training."""
        self._live.stop()


class TrainingCurves:
    """Curves of the loss and the accuracy by epoch, drawn in a terminal.

    Training figures are drawn as a line and validation figures as marks. Therefore a reader can distinguish training
    and validation figures without colours.

    Parameters
    ----------
    history : sequence of dict
        Figures of the finished epochs.
    epochs : int
        Number of the epoch at the right edge of the curves.
    """

    def __init__(self, history: Sequence[dict[str, float]], epochs: int) -> None:
        self._history, self._epochs = list(history), epochs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        stacked = 1 if options.max_width >= NARROW else 2
        height = min(HEIGHT, (console.height - OTHER_LINES) // stacked - 2)
        if not self._history or height < MINIMUM_HEIGHT:
            return
        panels = [self._panel(name, height) for name in ("loss", "accuracy")]
        grid = Table.grid(expand=True)
        for _ in panels[stacked - 1 :]:
            grid.add_column(ratio=1)
        for row in [panels] if stacked == 1 else [[panel] for panel in panels]:
            grid.add_row(*row)
        yield grid
        yield Text.assemble(
            ("⠒⠒", TRAINING), " training   ", (MARK, VALIDATION), f" validation   epochs 1 to {self._epochs}"
        )

    def _panel(self, name: str, height: int) -> Panel:
        training, validation = ([row[key] for row in self._history] for key in (name, f"val_{name}"))
        newest = f"{name}  training {training[-1]:.3g}, validation {validation[-1]:.3g}"
        curve = _Curve(training, validation, self._epochs, height)
        return Panel(curve, title=Text(newest, "not dim"), title_align="left", border_style="dim")


class CurveScale(NamedTuple):
    """Values that belong to the lowest and to the highest row of dots."""

    low: float
    high: float

    @classmethod
    def from_values(cls, values: Iterable[float]) -> "CurveScale":
        """Make a scale that reaches from the lowest to the highest finite value."""
        finite = [value for value in values if isfinite(value)]
        return cls(min(finite, default=nan), max(finite, default=nan))

    def row(self, value: float, rows: int) -> int:
        """Return the number of the row on which a finite value is drawn.

        The rows of the curve are counted from the top.
        """
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round((1 - share) * (rows - 1))


class _Curve:
    """A training curve with validation marks and a scale."""

    def __init__(self, training: Sequence[float], validation: Sequence[float], epochs: int, height: int) -> None:
        self._training, self._validation, self._epochs, self._height = training, validation, epochs, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(2, options.max_width - LABEL_WIDTH - 1)
        scale = CurveScale.from_values([*self._training, *self._validation])
        lines = [
            Text(line, TRAINING) for line in draw_braille_line(self._training, scale, width, self._height, self._epochs)
        ]
        for epoch, value in _finite_values(self._validation):
            column, row = _column(epoch, self._epochs, width), scale.row(value, self._height)
            lines[row] = Text.assemble(lines[row][:column], (MARK, VALIDATION), lines[row][column + 1 :])
        for row, line in enumerate(lines):
            label = {0: f"{scale.high:.3g}", self._height - 1: f"{scale.low:.3g}"}.get(row, "")
            yield Text.assemble((f"{label:>{LABEL_WIDTH}} ", "dim"), line)


def draw_braille_line(values: Sequence[float], scale: CurveScale, width: int, height: int, count: int) -> list[str]:
    """Draw a line through values in Braille characters. Each Braille character has two columns and four rows of dots.

    Parameters
    ----------
    values : sequence of float
        Values of the line. Values that are not finite are left out.
    width, height : int
        Width and height of the drawing in characters.
    count : int
        Number of values that fit between the left and the right edge of the drawing.

    Returns
    -------
    list of str
        Lines of text, from the top to the bottom of the drawing.
    """
    cells = [[EMPTY_BRAILLE] * width for _ in range(height)]
    places = [(_column(n, count, 2 * width), scale.row(value, 4 * height)) for n, value in _finite_values(values)]
    for x, y in _dots_between(places):
        cells[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    return ["".join(map(chr, row)) for row in cells]


def _finite_values(values: Iterable[float]) -> list[tuple[int, float]]:
    return [(number, value) for number, value in enumerate(values) if isfinite(value)]


def _column(number: int, count: int, columns: int) -> int:
    return round(number / max(1, count - 1) * (columns - 1))


def _dots_between(places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield all dots on the straight lines that connect consecutive places."""
    yield from places[:1]
    for (x, y), (to_x, to_y) in pairwise(places):
        steps = max(abs(to_x - x), abs(to_y - y))
        for step in range(1, steps + 1):
            yield x + round(step / steps * (to_x - x)), y + round(step / steps * (to_y - y))
