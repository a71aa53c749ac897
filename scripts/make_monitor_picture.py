"""Draws docs/monitor.svg: the screen of `kwsd monitor` while a real daemon processes the bundled recording.

Usage: .venv/bin/python scripts/make_monitor_picture.py
"""

import os
import re
import time
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from kwsd.bus.client import Subscription
from kwsd.bus.events import decode_event
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.daemon.child import run_child_daemon
from kwsd.monitor.screen import draw_screen
from kwsd.monitor.view import MonitorView

PICTURE = Path(__file__).parent.parent / "docs" / "monitor.svg"
WIDTH, HEIGHT = 100, 30
KEYWORDS = 8
"""Number of detected keywords when the picture is taken. The last one is still in the window at this moment."""

# Rich adds links to a font on the network. Without them, a browser that shows the picture contacts no other server.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def fill_view(view: MonitorView) -> None:
    """Run a daemon on the recording until it has detected enough keywords."""
    os.chdir(DEMO_FOLDER)  # so that the picture does not contain a path of this machine
    with (
        run_child_daemon("file:demo.flac", configured=True) as daemon,
        Subscription(daemon.address, monitor=True) as events,
    ):
        while len(view.keyword_events) < KEYWORDS and (message := events.receive(timeout_s=30)):
            view.update(decode_event(message.body), time.monotonic())


def main() -> None:
    """Draw the picture."""
    view = MonitorView()
    fill_view(view)
    view.selected_index = view.keywords.index(view.keyword_events[0].keyword)
    console = Console(
        record=True, width=WIDTH, height=HEIGHT, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(draw_screen(view, time.monotonic()))
    console.save_svg(str(PICTURE), title="kwsd monitor", code_format=FORMAT)


main()
