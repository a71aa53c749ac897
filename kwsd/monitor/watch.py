"""Watching: events in, a screen a few times a second out, keys turned into requests."""

import signal
import sys
import time
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from kwsd.bus.client import Subscription
from kwsd.bus.control import Command, send_request_all_streams
from kwsd.bus.events import decode_event
from kwsd.errors import KwsdError, UsageError
from kwsd.monitor.keyboard import Keyboard
from kwsd.monitor.screen import draw, too_small
from kwsd.monitor.view import View

FRAME_S = 0.08
"""Seconds from one screen to the next: a hop of the bundled models."""

STEP = 0.005
"""By how much a key changes a threshold."""


def watch(view: View, address: str, control: str, running: Callable[[], bool]) -> None:
    """Show a daemon until the key ``q``, or until it has ended.

    Parameters
    ----------
    view : View
        Is shown, and takes what the daemon says.
    address, control : str
        Of the daemon; both ipc.
    running : callable
        Whether it is worth going on.

    Raises
    ------
    UsageError
        There is no terminal, or it is too small.
    """
    console = _terminal()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl+C, so that the terminal is left as it was.
        signal.signal(number, signal.default_int_handler)
    with (
        Subscription(address, monitor=True) as subscription,
        Keyboard() as keyboard,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while running():
            _receive(subscription, view)
            if not all(_obey(key, view, control) for key in keyboard.pressed()):
                break
            live.update(_picture(console, view), refresh=True)


def _terminal() -> Console:
    console = Console()
    if not sys.stdin.isatty() or not console.is_terminal or console.is_dumb_terminal:
        raise UsageError("kwsd monitor needs a terminal; for programs there is kwsd listen --json")
    if problem := too_small(console):
        raise UsageError(problem)
    return console


def _picture(console: Console, view: View) -> RenderableType:
    # A terminal can also become too small while it is watched.
    return Text(too_small(console)) if too_small(console) else draw(view, time.monotonic())


def _receive(subscription: Subscription, view: View) -> None:
    end_s = time.monotonic() + FRAME_S
    while message := subscription.receive(end_s - time.monotonic()):
        view.take(decode_event(message.body), time.monotonic())


def _obey(key: str, view: View, control: str) -> bool:
    """Do what a key says; False for the one that ends the monitor."""
    view.notice = ""
    if key in {"up", "down"}:
        view.select(1 if key == "down" else -1)
    elif key in {"+", "=", "-", "_"}:
        _change_threshold(view, STEP if key in {"+", "="} else -STEP, control)
    elif key == "m" and view.status:
        _ask("unmute" if view.status.state == "muted" else "mute", view, control)
    return key != "q"


def _change_threshold(view: View, step: float, control: str) -> None:
    if view.status is None or view.word is None:
        return
    threshold = round(view.status.thresholds[view.word] + step, 3)
    if 0 < threshold <= 1 and _ask("thresholds", view, control, {view.word: threshold}):
        view.thresholds[view.word] = threshold


def _ask(command: Command, view: View, control: str, thresholds: dict[str, float] | None = None) -> bool:
    """Send a request; a daemon that refuses is no reason to end, but to say so."""
    try:
        for status in send_request_all_streams(command, control, thresholds=thresholds):
            view.take(status, time.monotonic())
    except KwsdError as error:
        view.notice = str(error)
        return False
    return True
