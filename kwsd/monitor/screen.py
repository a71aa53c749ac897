"""Draws the screen of ``kwsd monitor`` with the library rich."""

from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from itertools import groupby

import numpy as np
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from kwsd.bus.events import StatusEvent
from kwsd.frontend import Float32
from kwsd.levels import BAND_COUNT, QUIET_ROOM_DB
from kwsd.monitor.view import MonitorView
from kwsd.system.text import format_local_time

MIN_WIDTH, MIN_HEIGHT = 80, 24

DARK_DB, BRIGHT_DB = -85.0, -20.0
"""Levels that have the darkest and the brightest colour: the noise of a good microphone, and loud speech."""

SHADES = " ░▒▓█"
"""Characters for the spectrogram from dark to bright, for terminals without colours."""

COLOURS = np.array([(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)])
"""RGB colours for the spectrogram from dark to bright: six points of matplotlib's colour map "inferno"."""

COLOUR_STEPS = 48
"""Number of different colours in the spectrogram."""


def draw_screen(view: MonitorView, now_s: float) -> RenderableType:
    """Return the whole screen, for a terminal of at least `MIN_WIDTH` by `MIN_HEIGHT` characters."""
    screen = Layout()
    middle, bottom = Layout(ratio=1), Layout(size=8)
    screen.split_column(
        Layout(_draw_head(view, now_s), size=1),
        Layout(_draw_level(view), size=3),
        middle,
        bottom,
        Layout(_draw_foot(view), size=1),
    )
    middle.split_row(
        Layout(Panel(_Keywords(view), title="keywords"), size=40),
        Layout(Panel(_Spectrogram(view.columns), title="spectrogram, 0 to 8 kHz"), ratio=1),
    )
    bottom.split_row(
        Layout(Panel(_draw_events(view), title="events"), size=40),
        Layout(Panel(_draw_health(view), title="health"), ratio=1),
    )
    return screen


def describe_small_terminal(console: Console) -> str:
    """Return an error text if the terminal is too small for the screen, or an empty text if the screen fits."""
    width, height = console.size
    if width >= MIN_WIDTH and height >= MIN_HEIGHT:
        return ""
    return f"kwsd monitor needs a terminal of {MIN_WIDTH} x {MIN_HEIGHT} characters: this one has {width} x {height}"


def _draw_head(view: MonitorView, now_s: float) -> Text:
    status = view.status
    if status is None:
        return Text(" kwsd  waiting", "bold")
    state = "gone" if view.is_gone(now_s) else status.state
    style = {"listening": "bold green", "muted": "bold yellow"}.get(state, "bold red")
    on = f" on {status.stream}" if status.stream else ""
    text = f"{on}  {status.reason or f'{status.source}, model {status.model}'}"
    return Text.assemble((" kwsd ", "bold"), (state, style), text, overflow="ellipsis", no_wrap=True)


def _draw_level(view: MonitorView) -> Panel:
    latest = view.latest
    if latest is None:
        return Panel(Text("no audio", "dim"), title="level")
    share, peak = (1 - db / QUIET_ROOM_DB for db in (latest.level_db, latest.peak_db))
    style = "red" if latest.peak_db > -0.1 else "green"  # noqa: PLR2004  dB: the converter clips
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1)
    line.add_column(justify="right", width=22)
    line.add_row(_Meter(share, peak, style), f"{latest.level_db:4.0f} dB, peak {latest.peak_db:4.0f} dB")
    return Panel(line, title="level")


class _Meter:
    """Draws a horizontal bar with a mark, as wide as the available space.

    Parameters
    ----------
    share, mark : float
        Length of the bar and position of the mark, both in [0, 1]. Values outside [0, 1] are clipped.
    style : str
        Colour of the bar of the level display.
    """

    def __init__(self, share: float, mark: float, style: str) -> None:
        self._share, self._mark, self._style = share, mark, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        end, mark = (min(width, max(0, round(width * value))) for value in (self._share, self._mark))
        bar = Text("█" * end + "·" * (width - end), "dim")
        bar.stylize(Style.parse(f"not dim {self._style}"), 0, end)
        mark = min(mark, width - 1)
        yield Text.assemble(bar[:mark], ("┃", "bold"), bar[mark + 1 :])


class _Keywords:
    """Draw a line for each keyword, with the score and the threshold of the keyword.

    If the screen is too small for all lines, only the lines around the selected keyword are shown.
    """

    def __init__(self, view: MonitorView) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        view, height = self._view, options.height or len(self._view.keywords)
        first = max(0, min(view.selected_index - height // 2, len(view.keywords) - height))
        lines = Table.grid(expand=True, padding=(0, 1))
        lines.add_column(width=10, no_wrap=True, overflow="ellipsis")
        lines.add_column(ratio=1)
        lines.add_column(width=10)
        for number, word in list(enumerate(view.keywords))[first : first + height]:
            score, threshold = self._values(word)
            over = score >= threshold
            chosen = number == view.selected_index
            lines.add_row(
                Text(("▸ " if chosen else "  ") + word, "bold" if chosen else ""),
                _Meter(score, threshold, "green" if over else "cyan"),
                Text(f"{score:.2f}/{threshold:.3f}", "bold green" if over else ""),
            )
        yield lines

    def _values(self, word: str) -> tuple[float, float]:
        latest, status = self._view.latest, self._view.status
        return (latest.scores.get(word, 0.0) if latest else 0.0), (status.thresholds.get(word, 1.0) if status else 1.0)


class _Spectrogram:
    """Draw the spectrogram, with the newest column at the right and high frequencies at the top."""

    def __init__(self, columns: deque[list[int]]) -> None:
        self._columns = columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.height or MIN_HEIGHT
        coloured = console.color_system is not None and not console.no_color
        # Each half of a character can have its own colour, but not its own shade.
        rows = 2 * height if coloured else height
        brightness = _brightness(self._columns, width, rows)
        for row in range(height):
            if coloured:
                yield from _draw_half_blocks(brightness[2 * row], brightness[2 * row + 1])
            else:
                yield Segment("".join(SHADES[round(value * (len(SHADES) - 1))] for value in brightness[row]))
            yield Segment.line()


def _brightness(columns: deque[list[int]], width: int, rows: int) -> Float32:
    """Return the brightness of each cell in [0, 1], with the shape (rows, width) and the dtype float32."""
    newest = np.full((width, BAND_COUNT), DARK_DB, np.float32)
    recent = np.array(list(columns)[-width:], np.float32).reshape(-1, BAND_COUNT)
    newest[width - len(recent) :] = recent
    # With fewer rows than bands, a row shows its loudest band. With more rows than bands, several rows show one band.
    pooled = np.maximum.reduceat(newest, np.arange(rows) * BAND_COUNT // rows, axis=1)
    brightness: Float32 = ((pooled - DARK_DB) / (BRIGHT_DB - DARK_DB)).clip(0, 1)
    return brightness.T[::-1]


def _draw_half_blocks(upper: Float32, lower: Float32) -> Iterator[Segment]:
    """Return a line of characters that shows two rows: one in the upper and one in the lower half of each character."""
    steps = (np.array([upper, lower]) * (COLOUR_STEPS - 1)).round().astype(int).T.tolist()
    for (above, below), cells in groupby(steps):
        yield Segment("▀" * len(list(cells)), _style(above, below))


@cache
def _style(above: int, below: int) -> Style:
    return Style(color=_colour(above), bgcolor=_colour(below))


@cache
def _colour(step: int) -> Color:
    places = np.linspace(0, COLOUR_STEPS - 1, len(COLOURS))
    return Color.from_rgb(*(np.interp(step, places, channel) for channel in COLOURS.T))


def _draw_events(view: MonitorView) -> Text:
    lines = Text(no_wrap=True, overflow="ellipsis")
    for event in view.keyword_events:
        lines.append(f"{format_local_time(event.time)}  ", "dim")
        lines.append(f"{event.keyword:<16} ", "bold")
        lines.append(f"{event.score:.2f}\n")
    return lines if view.keyword_events else Text("no keyword yet", "dim")


def _draw_health(view: MonitorView) -> RenderableType:
    status = view.status
    if status is None:
        return Text("no daemon has answered yet", "dim")
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, value in _facts(status, view.cpu_percent).items():
        table.add_row(name, value)
    return table


def _facts(status: StatusEvent, cpu_percent: float | None) -> dict[str, str]:
    times = status.inference_ms
    return {
        "up": f"{timedelta(seconds=int(status.uptime_s))}",
        "CPU": f"{cpu_percent:.1f} % of a core" if cpu_percent is not None else "…",
        "window": f"{times.p50:.1f} ms (99 %: {times.p99:.1f} ms)" if times else "…",
        "gaps": f"{status.gaps}, {status.dropped_blocks} blocks dropped",
        "reconnects": f"{status.reconnects}",
        "detected": f"{status.events} keywords in {status.windows} windows",
    }


def _draw_foot(view: MonitorView) -> Text:
    if view.notice:
        return Text(f" {view.notice}", "red", no_wrap=True, overflow="ellipsis")
    keys = {"m": "mute", "↑ ↓": "select a keyword", "+ -": "raise, lower its threshold", "q": "quit"}
    return Text.assemble(*(part for key, does in keys.items() for part in ((f"  {key}", "bold"), (f" {does}", "dim"))))
