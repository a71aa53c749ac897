"""Prints to standard output and to terminals. Text from outside is cleaned here, so no command can forget it."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kwsd.log import write_message
from kwsd.text import clean_lines, clean_text

if TYPE_CHECKING:
    from rich.console import Console


def print_line(text: str = "") -> None:
    """Print one line for people."""
    sys.stdout.write(f"{clean_text(text)}\n")


def print_lines(text: str) -> None:
    """Print text for people whose line breaks were made by kwsd, such as a configuration file."""
    sys.stdout.write(clean_lines(text.removesuffix("\n")) + "\n")


def print_data(text: str) -> None:
    """Print one line for programs, such as a JSON object, without a change and always as UTF-8."""
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(f"{text}\n")
        return
    sys.stdout.flush()
    binary.write(f"{text}\n".encode())
    binary.flush()


def print_message(text: str) -> None:
    """Print one line for people to standard error."""
    write_message(f"{clean_text(text)}\n")


def print_prompt(text: str) -> None:
    """Print a question to standard error, without a line break."""
    write_message(clean_text(text))


def print_log(text: str) -> None:
    """Print the lines of another program's log to standard error."""
    write_message(clean_lines(text))


def create_console(*, stderr: bool = False, highlight: bool = True, soft_wrap: bool = False) -> "Console":
    """A console that prints no control characters from outside. `rich.console.Console` explains the parameters."""
    from rich.console import Console, ConsoleOptions, RenderableType  # noqa: PLC0415  most commands need no rich
    from rich.segment import Segment  # noqa: PLC0415  see above

    class CleanConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=clean_lines(segment.text))

    return CleanConsole(stderr=stderr, highlight=highlight, soft_wrap=soft_wrap)
