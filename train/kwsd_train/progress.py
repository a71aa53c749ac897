"""Bars in a terminal while a model is run over many recordings."""

import sys

from rich.console import Console
from rich.progress import Progress


def bars() -> Progress:
    """Bars on standard error that vanish when the context ends; nothing where that is no terminal."""
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
