"""Progress bars that a terminal shows while a model runs over many recordings."""

import sys

from rich.progress import Progress

from kwsd.log import create_console


def progress_bars() -> Progress:
    """Return progress bars on standard error that disappear at the end.

    The progress bars are shown only if standard error is a terminal.
    """
    return Progress(console=create_console(stderr=True), transient=True, disable=not sys.stderr.isatty())
