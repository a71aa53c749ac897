"""Defines the command ``kwsd monitor``."""

from typing import Annotated

import typer

from kwsd.cli.options import EventAddress
from kwsd.errors import UsageError
from kwsd.log import print_line, print_lines


def monitor(
    device: Annotated[
        str | None, typer.Option(help="Start a daemon on this device and show it; the same values as for `kwsd run`.")
    ] = None,
    connect: EventAddress = None,
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show this stream of the daemon instead of the first.")
    ] = None,
) -> None:
    """Show a running daemon live: level, scores and thresholds, spectrogram, events and health.

    Keys: m mutes and unmutes, the cursor keys select a keyword, + and - raise and lower its threshold, q quits. A
    changed threshold lasts until the daemon reloads or ends. At the end, kwsd monitor prints the changed thresholds as
    lines for the configuration.
    """
    from kwsd.monitor.connect import show_child_daemon, show_running_daemon

    if device is None:
        view, exit_code = show_running_daemon(connect, stream), 0
    elif connect is not None or stream is not None:
        raise UsageError("use either --device, to start a daemon, or --connect and --stream, for a running daemon")
    elif device == "-":
        raise UsageError("kwsd monitor cannot listen to standard input, because it reads its keys from there")
    else:
        view, exit_code = show_child_daemon(device)
    if exit_code:
        raise typer.Exit(exit_code)
    if view.changed_thresholds:
        print_lines("# To keep the thresholds, add these lines to config.toml:\n[thresholds]\n")
        for word, threshold in view.changed_thresholds.items():
            print_line(f'"{word}" = {threshold:g}')
