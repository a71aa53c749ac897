"""Progress bars in a terminal while a model runs over many recordings."""

import sys

from rich.progress import Progress

from kwsd.log import create_console


def progress_bars() -> Progress:
    """Progress bars on standard error that disappear at the end; without a terminal, nothing is shown."""
    return Progress(console=create_console(stderr=True), transient=True, disable=not sys.stderr.isatty())
