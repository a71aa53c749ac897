"""What SIGHUP means to the daemon: the end of its terminal, or a request to read the configuration again."""

import os
import select
import signal
from collections.abc import Callable
from functools import cache
from threading import Thread

TERMINAL = "/dev/tty"
"""The controlling terminal of each process that has one; see tty(4)."""


@cache
def watched_terminal() -> int | None:
    """Open the terminal with which this daemon has to end, and return its descriptor, or None without one.

    The first call decides, at the start of the program. A terminal that is closed later cannot be found any more. A
    program under a service manager goes on without its terminal, and so does a program that nohup(1) has started.
    """
    if os.environ.get("NOTIFY_SOCKET") or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return None
    try:
        return os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def prepare_signals() -> None:
    """Set the signals for the time until the daemon can stop and reload."""
    if watched_terminal() is None:
        # A reload that is asked for too early must not end the daemon.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # In a terminal with `stty tostop`, a log line would otherwise stop a daemon in the background.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def obey_hangup(stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """Call `stop` when the terminal of this process closes; without such a terminal, call `reload` on SIGHUP."""
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
