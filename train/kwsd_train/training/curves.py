"""Training as it goes, in a terminal: bars with the time left, and the curves so far."""

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

History = list[dict[str, float]]

HEIGHT, LOWEST = 8, 3
"""Lines of a curve, and the fewest that are worth drawing."""
AROUND = 6
"""Lines of the screen that are not the curves': their legend, the bars, and where the cursor stands."""
NARROW = 70
"""Columns below which the curves stand one above the other."""
LABEL = 7
"""Columns left of a curve for its scale."""
PERIOD_S = 3600.0
"""The time left is told by the speed over so many seconds, so that the validation after each epoch counts."""

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the eight dots of a character, by row and column (Unicode 15, section 21.1, Braille)."""
EMPTY = 0x2800
MARK = "●"

TRAINING, VALIDATION = "cyan", "bold yellow"


def busy(console: Console | None, doing: str) -> AbstractContextManager[Any]:
    """Say in a terminal what is done at the moment, for as long as the context lasts."""
    return console.status(doing) if console else nullcontext()


class Screen(keras.callbacks.Callback):  # type: ignore[misc]
    """Draws a training into a terminal while it goes on, and leaves the last picture there.

    Parameters
    ----------
    console : Console
    history : list of dict
        Figures of the epochs so far; whoever trains appends to it.
    epochs, steps : int
        Of the whole training, and batches in each.
    """

    def __init__(self, console: Console, history: History, epochs: int, steps: int) -> None:
        super().__init__()
        self._history, self._epochs, self._done = history, epochs, len(history) * steps
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("gone,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            expand=True,
            speed_estimate_period=PERIOD_S,
        )
        self._epoch = self._bars.add_task(f"epoch {len(history) + 1} of {epochs}", total=steps)
        self._all = self._bars.add_task("all epochs", total=epochs * steps, completed=self._done)
        self._live = Live(console=console, get_renderable=self.draw, refresh_per_second=4)

    def draw(self) -> RenderableType:
        """The picture at this moment."""
        return Group(Curves(self._history, self._epochs), self._bars)

    def on_train_begin(self, _logs: dict[str, float] | None = None) -> None:
        """Begin to draw."""
        self._bars.reset(self._all, completed=self._done)
        self._live.start()

    def on_epoch_begin(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        """Begin the epoch's bar anew."""
        self._bars.reset(self._epoch, description=f"epoch {epoch + 1} of {self._epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002  Keras' names
        """Move both bars."""
        self._bars.advance(self._epoch)
        self._bars.advance(self._all)

    def on_train_end(self, _logs: dict[str, float] | None = None) -> None:
        """Leave no time to go where training has stopped before the last epoch."""
        self._bars.update(self._all, total=self._bars.tasks[self._all].completed)

    def close(self) -> None:
        """Leave the terminal, however training has ended."""
        self._live.stop()


class Curves:
    """Loss and accuracy by epoch, training as a line and validation as marks, so that they differ without colours.

    Parameters
    ----------
    history : sequence of dict
    epochs : int
        At the right edge.
    """

    def __init__(self, history: Sequence[dict[str, float]], epochs: int) -> None:
        self._history, self._epochs = list(history), epochs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        stacked = 1 if options.max_width >= NARROW else 2
        height = min(HEIGHT, (console.height - AROUND) // stacked - 2)
        if not self._history or height < LOWEST:
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


class Scale(NamedTuple):
    """What the lowest and the highest row of dots stand for."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Scale":
        """From the lowest to the highest of those values that are finite."""
        finite = [value for value in values if isfinite(value)]
        return cls(min(finite, default=nan), max(finite, default=nan))

    def row(self, value: float, rows: int) -> int:
        """Row of a finite value, counted from the top."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round((1 - share) * (rows - 1))


class _Curve:
    def __init__(self, training: Sequence[float], validation: Sequence[float], epochs: int, height: int) -> None:
        self._training, self._validation, self._epochs, self._height = training, validation, epochs, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(2, options.max_width - LABEL - 1)
        scale = Scale.of([*self._training, *self._validation])
        lines = [Text(line, TRAINING) for line in braille(self._training, scale, width, self._height, self._epochs)]
        for epoch, value in _drawable(self._validation):
            column, row = _column(epoch, self._epochs, width), scale.row(value, self._height)
            lines[row] = Text.assemble(lines[row][:column], (MARK, VALIDATION), lines[row][column + 1 :])
        for row, line in enumerate(lines):
            label = {0: f"{scale.high:.3g}", self._height - 1: f"{scale.low:.3g}"}.get(row, "")
            yield Text.assemble((f"{label:>{LABEL}} ", "dim"), line)


def braille(values: Sequence[float], scale: Scale, width: int, height: int, count: int) -> list[str]:
    """A line through values, in characters of two by four dots.

    Parameters
    ----------
    values : sequence of float
        Those that are not finite are left out.
    scale : Scale
    width, height : int
        In characters.
    count : int
        Number of values for which there is room from the left edge to the right.

    Returns
    -------
    list of str
        From the top.
    """
    cells = [[EMPTY] * width for _ in range(height)]
    places = [(_column(n, count, 2 * width), scale.row(value, 4 * height)) for n, value in _drawable(values)]
    for x, y in _line(places):
        cells[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    return ["".join(map(chr, row)) for row in cells]


def _drawable(values: Iterable[float]) -> list[tuple[int, float]]:
    return [(number, value) for number, value in enumerate(values) if isfinite(value)]


def _column(number: int, count: int, columns: int) -> int:
    return round(number / max(1, count - 1) * (columns - 1))


def _line(places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """All dots on the straight lines from place to place."""
    yield from places[:1]
    for (x, y), (to_x, to_y) in pairwise(places):
        steps = max(abs(to_x - x), abs(to_y - y))
        for step in range(1, steps + 1):
            yield x + round(step / steps * (to_x - x)), y + round(step / steps * (to_y - y))
