"""Training as it goes, in a terminal: bars with the time left, and the curves so far."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import keras
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

History = list[dict[str, float]]

HEIGHT = 8
"""Lines of a curve."""
NARROW = 70
"""Columns below which the curves stand one above the other."""
LABEL = 7
"""Columns left of a curve for its scale."""
PERIOD_S = 900.0
"""Seconds by whose speed the time left is told: long enough to hold the validation after an epoch."""

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the eight dots of a character, by row and column (Unicode 15, section 21.1, Braille)."""
EMPTY = 0x2800
MARK = "●"

TRAINING, VALIDATION = "cyan", "bold yellow"


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
        self._history, self._epochs = history, epochs
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            expand=True,
            speed_estimate_period=PERIOD_S,
        )
        self._epoch = self._bars.add_task("", total=steps)
        self._all = self._bars.add_task("all epochs", total=(epochs - len(history)) * steps)
        self._live = Live(console=console, get_renderable=self.draw, refresh_per_second=4)

    def draw(self) -> RenderableType:
        """The picture at this moment."""
        return Group(Curves(self._history, self._epochs), self._bars)

    def on_train_begin(self, _logs: dict[str, float] | None = None) -> None:
        """Begin to draw."""
        for bar in self._bars.task_ids:
            self._bars.reset(bar)
        self._live.start()

    def on_epoch_begin(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        """Begin the epoch's bar anew."""
        self._bars.reset(self._epoch, description=f"epoch {epoch + 1} of {self._epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002  Keras' names
        """Move both bars."""
        self._bars.advance(self._epoch)
        self._bars.advance(self._all)

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
        if not self._history:
            return
        wide = options.max_width >= NARROW
        grid = Table.grid(expand=True)
        panels = [self._panel(name) for name in ("loss", "accuracy")]
        for _ in panels if wide else panels[:1]:
            grid.add_column(ratio=1)
        for row in [panels] if wide else [[panel] for panel in panels]:
            grid.add_row(*row)
        yield grid
        yield Text.assemble(
            ("⠒⠒", TRAINING), " training   ", (MARK, VALIDATION), f" validation   epochs 1 to {self._epochs}"
        )

    def _panel(self, name: str) -> Panel:
        training, validation = ([row[key] for row in self._history] for key in (name, f"val_{name}"))
        newest = f"{name}  training {training[-1]:.3g}, validation {validation[-1]:.3g}"
        return Panel(_Curve(training, validation, self._epochs), title=newest, title_align="left", border_style="dim")


class Scale(NamedTuple):
    """What the lowest and the highest row of dots stand for."""

    low: float
    high: float

    def row(self, value: float, rows: int) -> int:
        """Row of a value, counted from the top."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round((1 - share) * (rows - 1))


class _Curve:
    def __init__(self, training: Sequence[float], validation: Sequence[float], epochs: int) -> None:
        self._training, self._validation, self._epochs = training, validation, epochs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(2, options.max_width - LABEL - 1)
        scale = Scale(min(*self._training, *self._validation), max(*self._training, *self._validation))
        lines = [Text(line, TRAINING) for line in braille(self._training, scale, width, HEIGHT, self._epochs)]
        for epoch, value in enumerate(self._validation):
            column, row = _column(epoch, self._epochs, width), scale.row(value, HEIGHT)
            lines[row] = Text.assemble(lines[row][:column], (MARK, VALIDATION), lines[row][column + 1 :])
        for row, line in enumerate(lines):
            label = {0: f"{scale.high:.3g}", HEIGHT - 1: f"{scale.low:.3g}"}.get(row, "")
            yield Text.assemble((f"{label:>{LABEL}} ", "dim"), line)


def braille(values: Sequence[float], scale: Scale, width: int, height: int, count: int) -> list[str]:
    """A line through values, in characters of two by four dots.

    Parameters
    ----------
    values : sequence of float
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
    places = [(_column(n, count, 2 * width), scale.row(value, 4 * height)) for n, value in enumerate(values)]
    for x, y in _line(places):
        cells[y // 4][x // 2] |= DOTS[y % 4][x % 2]
    return ["".join(map(chr, row)) for row in cells]


def _column(number: int, count: int, columns: int) -> int:
    return round(number / max(1, count - 1) * (columns - 1))


def _line(places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """All dots on the straight lines from place to place."""
    yield from places[:1]
    for (x, y), (to_x, to_y) in pairwise(places):
        steps = max(abs(to_x - x), abs(to_y - y))
        for step in range(1, steps + 1):
            yield x + round(step / steps * (to_x - x)), y + round(step / steps * (to_y - y))
