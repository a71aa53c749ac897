"""Handles SIGHUP: stops the daemon if its terminal has closed, or reloads the configuration if it runs without one."""

import os
import select
import signal
from collections.abc import Callable
from functools import cache
from threading import Thread

TERMINAL = "/dev/tty"
"""Path at which each process finds its controlling terminal; see tty(4)."""


@cache
def watched_terminal() -> int | None:
    """Open the terminal whose end must stop this daemon.

    Return the file descriptor of the terminal, or None without a terminal.

    Call this function at the start of the program. All later calls return the result of the first call. A process
    cannot find its terminal after the terminal has closed. A program that a service manager or nohup(1) has started
    continues to run when its terminal closes.
    """
    if os.environ.get("NOTIFY_SOCKET") or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return None
    try:
        return os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def prepare_signals() -> None:
    """Set the signal handlers for the time before the daemon is able to stop and to reload."""
    if watched_terminal() is None:
        # A reload that is asked for too early must not end the daemon.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # In a terminal with `stty tostop`, a log line would otherwise stop a daemon in the background.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def obey_hangup(stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """Call `stop` when the terminal of this process closes. Without a terminal, call `reload` on SIGHUP."""
    terminal = watched_terminal()
    act = reload if terminal is None else stop
    signal.signal(signal.SIGHUP, lambda _number, _frame: act())
    if terminal is not None:
        # Not every shell passes SIGHUP on to its jobs in the background, and none does for a disowned job.
        Thread(target=_wait_for_hangup, args=(terminal, stop), name="kwsd-terminal", daemon=True).start()


def _wait_for_hangup(terminal: int, stop: Callable[[], None]) -> None:
    hangup = select.poll()
    hangup.register(terminal, 0)  # POLLHUP needs no mask
    hangup.poll()
    stop()
