"""The table that ``kwsd tune`` prints."""

from collections.abc import Iterator
from datetime import timedelta

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from kwsd.cli.scan import MINUTES_FOR_A_RATE
from kwsd.tuning.thresholds import Choice, Table

WORDS_A_GRID = 8
"""Keywords beside each other, so that they fit into 80 characters."""


def print_table(table: Table, choice: Choice | None) -> None:
    """Print detections by threshold and keyword, and those with the thresholds that were chosen, if any were."""
    console = Console(highlight=False, soft_wrap=True)
    words = list(table.keywords)
    long = table.seconds >= 60 * MINUTES_FOR_A_RATE
    short = "" if long else ", too short for a rate"
    console.print(f"{timedelta(seconds=round(table.seconds))} of audio{short}; detections by threshold:")
    for first in range(0, len(words), WORDS_A_GRID):
        console.print(_grid(table, words[first : first + WORDS_A_GRID], choice, rates=long))
    console.print("* in force. In a word's column its threshold alone is changed, in the column all every word's.")


def _grid(table: Table, words: list[str], choice: Choice | None, *, rates: bool) -> Grid:
    """One row a threshold, one column a keyword."""
    grid = Grid(box=box.SIMPLE, pad_edge=False)
    for heading in ("threshold", *words, "all", *(["an hour"] if rates else [])):
        grid.add_column(heading, justify="right", no_wrap=True)
    for row, total in enumerate(table.all):
        rate = [f"{total.per_hour:.1f}"] if rates else []
        grid.add_row(f"{total.threshold:g}", *_cells(table, words, row), str(total.detections), *rate)
    grid.add_section()
    for name, chosen in (("in force", table.now), ("chosen", choice)):
        if chosen:
            rate = [f"{chosen.per_hour:.1f}"] if rates else []
            grid.add_row(name, *(str(chosen.detections[word]) for word in words), str(chosen.total), *rate)
    return grid


def _cells(table: Table, words: list[str], row: int) -> Iterator[Text]:
    """Detections of each keyword at the threshold of a row, with a mark where it is the one in force."""
    for word in words:
        count = table.keywords[word][row]
        in_force = count.threshold == table.now.thresholds[word]
        yield Text(f"*{count.detections}" if in_force else str(count.detections), "bold" if in_force else "")
