"""Connects the screen of ``kwsd monitor`` to a running daemon, or to a daemon that the command starts."""

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
    """Show the events of a running daemon until the user quits, and return the last view.

    Parameters
    ----------
    address : str, optional
        Event address, which overrides the event address of the configuration.
    stream : str, optional
        Name of the stream to show. Without a name, the screen shows the first stream.

    Raises
    ------
    ControlError
        The daemon at this address is not running.
    UsageError
        The address is not an ipc address, the stream does not exist, or the terminal is not suitable.
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
    """Start a daemon, and show its events until the user quits or the daemon ends.

    Parameters
    ----------
    device : str
        Audio device, with the values that ``kwsd run --device`` accepts.

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
    """Return the name of the stream to show: the requested stream, or else the first stream that has not ended."""
    if wanted is None:
        return next((name for name, state in states.items() if state != "stopping"), "")
    if wanted not in states:
        names = ", ".join(filter(None, states)) or "only one stream, without a name"
        raise UsageError(f"there is no stream {wanted!r}: the daemon has {names}")
    return wanted
