"""``kwsd monitor``."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kwsd.monitor.view import MonitorView


def monitor(
    device: Annotated[
        str | None, typer.Option(help="Run a daemon for the purpose, on this device; as for `kwsd run`.")
    ] = None,
    connect: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The daemon's event address, if not that of the configuration."),
    ] = None,
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which of the daemon's streams, if not the first.")
    ] = None,
) -> None:
    """Watch a running daemon: level, scores against thresholds, spectrogram, events and health.

    Keys: m mutes and unmutes, the cursor keys select a word, + and - raise and lower its threshold, q quits. The
    threshold lasts until the daemon reloads or ends; those that were changed are printed as lines of a configuration.
    """
    from kwsd.errors import UsageError

    if device is None:
        view = _attach(connect, stream)
    elif connect is not None or stream is not None:
        raise UsageError("say either --device, for a daemon of its own, or --connect and --stream, for one that runs")
    elif device == "-":
        raise UsageError("kwsd monitor cannot listen to standard input: its keys come from there")
    else:
        view = _run_own(device)
    if view.changed_thresholds:
        print("# These lines in config.toml keep the thresholds:\n[thresholds]")
        for word, threshold in view.changed_thresholds.items():
            print(f'"{word}" = {threshold:g}')


def _attach(connect: str | None, wanted: str | None) -> "MonitorView":
    from kwsd.bus.address import IPC, check_subscribe_address, control_address, default_address
    from kwsd.bus.control import send_request_all_streams
    from kwsd.config.load import load_config
    from kwsd.errors import ControlError, UsageError
    from kwsd.monitor.view import MonitorView
    from kwsd.monitor.watch import watch_daemon

    config = load_config().config
    address = connect or config.address or default_address()
    check_subscribe_address(address)
    if not address.startswith(IPC):
        raise UsageError(f"{address} tells no scores or levels: they are for this user alone, on {IPC} only")
    control = control_address(address) if connect else config.control or control_address(address)
    try:
        found = send_request_all_streams("status", control)
    except ControlError as error:
        raise ControlError(f"{error}; to run one for this alone:  kwsd monitor --device default") from None
    view = MonitorView(_stream({status.stream: status.state for status in found}, wanted))
    for status in found:
        view.update(status, time.monotonic())
    watch_daemon(view, address, control, lambda: True)
    return view


def _stream(states: dict[str, str], wanted: str | None) -> str:
    """Name of the stream to be watched: if none is wanted, the first that has not ended."""
    from kwsd.errors import UsageError

    if wanted is None:
        return next((name for name, state in states.items() if state != "stopping"), "")
    if wanted not in states:
        names = ", ".join(filter(None, states)) or "but one, without a name"
        raise UsageError(f"there is no stream {wanted!r}: the daemon has {names}")
    return wanted


def _run_own(device: str) -> "MonitorView":
    from kwsd.daemon.child import run_child_daemon
    from kwsd.monitor.view import MonitorView
    from kwsd.monitor.watch import watch_daemon

    view = MonitorView()
    with run_child_daemon(device, configured=True) as daemon:
        watch_daemon(view, daemon.address, daemon.control, daemon.is_running)
        ended = not daemon.is_running()
        exit_code = daemon.terminate()
        if ended:
            sys.stderr.write(daemon.read_log() or f"{device} has ended\n")
    if exit_code:
        raise typer.Exit(exit_code)
    return view
