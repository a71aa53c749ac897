"""Formats the result of ``kwsd tune``: a table for a terminal, or a JSON object for programs."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from kwsd.log import create_console
from kwsd.tuning.thresholds import ThresholdChoice, ThresholdTable, is_long_enough_for_rate

COLUMNS_AT_ONCE = 8
"""Maximum number of keywords in one table. With this limit, the table fits into 80 characters."""


def print_threshold_table(table: ThresholdTable, choice: ThresholdChoice | None) -> None:
    """Print the detections by threshold and keyword. If the user has chosen thresholds, also print their detections."""
    console = create_console(highlight=False, soft_wrap=True)
    words = list(table.keywords)
    long = is_long_enough_for_rate(table.seconds)
    short = "" if long else ", too short for a rate"
    console.print(f"{timedelta(seconds=round(table.seconds))} of audio{short}; detections by threshold:")
    for first in range(0, len(words), COLUMNS_AT_ONCE):
        console.print(_rich_table(table, words[first : first + COLUMNS_AT_ONCE], choice, rates=long))
    console.print('* in force. A keyword\'s column changes only its own threshold; "all" changes all thresholds.')


def format_tuning_json(table: ThresholdTable, choice: ThresholdChoice | None, file: Path | None) -> str:
    """Return a JSON object with the table, the chosen thresholds, and the path of the written file."""
    written = {"chosen": choice and msgspec.to_builtins(choice), "file": file and str(file)}
    return json.dumps(msgspec.to_builtins(table) | written)


def _rich_table(table: ThresholdTable, words: list[str], choice: ThresholdChoice | None, *, rates: bool) -> Table:
    """Format a table with a row for each threshold and a column for each keyword."""
    grid = Table(box=box.SIMPLE, pad_edge=False)
    for heading in ("threshold", *words, "all", *(["per hour"] if rates else [])):
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


def _cells(table: ThresholdTable, words: list[str], row: int) -> Iterator[Text]:
    """Return the number of detections of each keyword at a row's threshold. An asterisk marks the current threshold."""
    for word in words:
        count = table.keywords[word][row]
        in_force = count.threshold == table.now.thresholds[word]
        yield Text(f"*{count.detections}" if in_force else str(count.detections), "bold" if in_force else "")
