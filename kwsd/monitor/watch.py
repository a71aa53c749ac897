"""Shows a daemon on the terminal: receives its events, draws the screen, and sends requests for pressed keys."""

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
from kwsd.daemon.ending import treat_as_ctrl_c
from kwsd.errors import KwsdError, UsageError
from kwsd.log import create_console
from kwsd.monitor.keyboard import Keyboard
from kwsd.monitor.screen import describe_small_terminal, draw_screen
from kwsd.monitor.view import MonitorView

FRAME_S = 0.08
"""Seconds between two updates of the screen: one hop of the bundled models."""

THRESHOLD_STEP = 0.005
"""Change of a threshold by one key press."""


def watch_daemon(view: MonitorView, address: str, control: str, is_running: Callable[[], bool]) -> None:
    """Show the events of a daemon until the user presses ``q`` or the daemon ends.

    Parameters
    ----------
    view : MonitorView
        View that the function updates with the daemon's events.
    address, control : str
        Event address and control address of the daemon. Both must be ipc addresses.
    is_running : callable
        Function that is called before each update of the screen. If the function returns False, the monitor ends.

    Raises
    ------
    UsageError
        Standard input or output is not a terminal, or the terminal is too small.
    """
    console = _open_console()
    # A signal that ends the program must not leave the terminal as the screen needs it.
    treat_as_ctrl_c(signal.SIGTERM, signal.SIGHUP)
    with (
        Subscription(address, monitor=True) as subscription,
        Keyboard() as keyboard,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while is_running():
            _receive_events(subscription, view)
            if not all(_handle_key(key, view, control) for key in keyboard.read_keys()):
                break
            live.update(_render(console, view), refresh=True)


def _open_console() -> Console:
    console = create_console()
    if sys.stdin is None or not sys.stdin.isatty() or not console.is_terminal or console.is_dumb_terminal:
        raise UsageError("kwsd monitor needs a terminal; programs can use kwsd listen --json")
    if problem := describe_small_terminal(console):
        raise UsageError(problem)
    return console


def _render(console: Console, view: MonitorView) -> RenderableType:
    # The user can also make the terminal smaller while it shows the daemon.
    return (
        Text(describe_small_terminal(console))
        if describe_small_terminal(console)
        else draw_screen(view, time.monotonic())
    )


def _receive_events(subscription: Subscription, view: MonitorView) -> None:
    end_s = time.monotonic() + FRAME_S
    while message := subscription.receive(end_s - time.monotonic()):
        view.update(decode_event(message.body), time.monotonic())


def _handle_key(key: str, view: MonitorView, control: str) -> bool:
    """Perform the action of a pressed key, and return whether the monitor continues."""
    view.notice = ""
    if key in {"up", "down"}:
        view.select(1 if key == "down" else -1)
    elif key in {"+", "=", "-", "_"}:
        _change_threshold(view, THRESHOLD_STEP if key in {"+", "="} else -THRESHOLD_STEP, control)
    elif key == "m" and view.status:
        _send("unmute" if view.status.state == "muted" else "mute", view, control)
    return key != "q"


def _change_threshold(view: MonitorView, step: float, control: str) -> None:
    if view.status is None or view.selected_keyword is None:
        return
    threshold = round(view.status.thresholds[view.selected_keyword] + step, 3)
    if 0 < threshold <= 1 and _send("thresholds", view, control, {view.selected_keyword: threshold}):
        view.changed_thresholds[view.selected_keyword] = threshold


def _send(command: Command, view: MonitorView, control: str, thresholds: dict[str, float] | None = None) -> bool:
    """Send a request to the daemon, and return whether the daemon accepted the request.

    If the daemon rejects the request, the screen shows the reason.
    """
    try:
        for status in send_request_all_streams(command, control, thresholds=thresholds):
            view.update(status, time.monotonic())
    except KwsdError as error:
        view.notice = str(error)
        return False
    return True
