"""Connects the screen to a running daemon, or to a daemon that it starts."""

import time

from kwsd.bus.address import IPC, check_subscribe_address, control_address, default_address
from kwsd.bus.control import send_request_all_streams
from kwsd.config.load import load_config
from kwsd.daemon.child import run_child_daemon
from kwsd.errors import ControlError, UsageError
from kwsd.log import print_log
from kwsd.monitor.view import MonitorView
from kwsd.monitor.watch import watch_daemon


def show_running_daemon(address: str | None, stream: str | None) -> MonitorView:
    """Show a running daemon until the user quits, and return the last view.

    Parameters
    ----------
    address : str, optional
        Overrides the event address of the configuration.
    stream : str, optional
        Name of the stream to show, instead of the first.

    Raises
    ------
    ControlError
        No daemon is running.
    UsageError
        The address is not on ipc, there is no such stream, or there is no suitable terminal.
    """
    config = load_config().config
    events = address or config.address or default_address()
    check_subscribe_address(events)
    if not events.startswith(IPC):
        raise UsageError(f"{events} has no scores and levels: the daemon publishes them only on {IPC}")
    control = control_address(events) if address else config.control or control_address(events)
    try:
        found = send_request_all_streams("status", control)
    except ControlError as error:
        raise ControlError(f"{error}; to start one and show it:  kwsd monitor --device default") from None
    view = MonitorView(_choose_stream({status.stream: status.state for status in found}, stream))
    for status in found:
        view.update(status, time.monotonic())
    watch_daemon(view, events, control, lambda: True)
    return view


def show_child_daemon(device: str) -> tuple[MonitorView, int]:
    """Start a daemon and show it until the user quits or the daemon ends.

    Parameters
    ----------
    device : str
        As for ``kwsd run --device``.

    Returns
    -------
    MonitorView, int
        The last view, and the exit code of the daemon.
    """
    view = MonitorView()
    with run_child_daemon(device, configured=True) as daemon:
        watch_daemon(view, daemon.address, daemon.control, daemon.is_running)
        ended = not daemon.is_running()
        exit_code = daemon.terminate()
        if ended:
            print_log(daemon.read_log() or f"{device} has ended\n")
    return view, exit_code


def _choose_stream(states: dict[str, str], wanted: str | None) -> str:
    """Return the name of the stream to show: the wanted one, or else the first that has not ended."""
    if wanted is None:
        return next((name for name, state in states.items() if state != "stopping"), "")
    if wanted not in states:
        names = ", ".join(filter(None, states)) or "only one stream, without a name"
        raise UsageError(f"there is no stream {wanted!r}: the daemon has {names}")
    return wanted
