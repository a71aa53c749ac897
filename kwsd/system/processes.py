"""Ends processes together with all processes that they have started, and ends a process when its parent ends."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
"""Numbers of options of prctl(2), from linux/prctl.h."""

GRACE_S = 1.0
"""Seconds between SIGTERM and SIGKILL. In this time, a process can clean up and end."""

KILL_S = 2.0
"""Maximum number of seconds to wait for the end of processes after SIGKILL. A process that hangs in the kernel may end
after this time."""

POLL_S = 0.02
"""Seconds between two checks whether processes have ended."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that end a command of kwsd. The parent process passes these signals on to the child process, which does the
work."""

FIRST_ERROR_CODE = 128
"""Offset of exit codes: for a process that a signal ended, shells report this value plus the signal number."""


class ProcessInfo(NamedTuple):
    """Parent and session of a process, and whether it is a zombie: an ended process that still stores its exit code."""

    parent: int
    session: int
    ended: bool


def list_processes() -> dict[int, ProcessInfo]:
    """Return all processes of this machine, with the process identifier as key."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):  # it has ended meanwhile
            # The second field is the name of the program, in parentheses. The name may contain anything.
            fields = (folder / "stat").read_bytes().rpartition(b") ")[2].split()
            found[int(folder.name)] = ProcessInfo(int(fields[1]), int(fields[3]), fields[0] in {b"Z", b"X"})
    return found


def find_descendants(processes: dict[int, ProcessInfo], ancestors: set[int]) -> set[int]:
    """Return the processes that the given ancestors have started, directly or indirectly, without the ancestors."""
    children: dict[int, list[int]] = {}
    for pid, info in processes.items():
        children.setdefault(info.parent, []).append(pid)
    found, waiting = set(ancestors), list(ancestors)
    while waiting:
        new = [child for child in children.get(waiting.pop(), []) if child not in found]
        found.update(new)
        waiting += new
    return found - ancestors


def own_descendants() -> set[int]:
    """Return all running descendants of this process."""
    processes = list_processes()
    return {pid for pid in find_descendants(processes, {os.getpid()}) if not processes[pid].ended}


def reap_orphans(own: set[int]) -> None:
    """Remove the zombie processes that this process has adopted; see `run_guarded`.

    Parameters
    ----------
    own : set of int
        Child processes that this process has started itself. Other code waits for the exit codes of these children.
    """
    for pid, info in list_processes().items():
        if info.ended and info.parent == os.getpid() and pid not in own:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


@contextmanager
def ending_descendants() -> Iterator[None]:
    """At the end of the ``with`` block, end all processes that this process has started."""
    try:
        yield
    finally:
        end_processes(own_descendants)


def end_processes(find: Callable[[], set[int]], grace_s: float = GRACE_S) -> None:
    """End processes first with SIGTERM, and after `grace_s` with SIGKILL.

    Parameters
    ----------
    find : callable
        Function that returns the processes that have not ended yet. The function is called repeatedly. A process that
        ends may start another process, and its children may become visible as descendants only then.
    """
    asked: set[int] = set()
    end_s = time.monotonic() + grace_s
    while (found := find()) and time.monotonic() < end_s:
        _send(signal.SIGTERM, found - asked)
        # A stopped process ends only after it continues.
        _send(signal.SIGCONT, found - asked)
        asked |= found
        time.sleep(POLL_S)
    end_s = time.monotonic() + KILL_S
    while (found := find()) and time.monotonic() < end_s:
        _send(signal.SIGKILL, found)
        time.sleep(POLL_S)


def end_with_parent() -> None:
    """Let this process receive SIGTERM when its parent ends, even if the parent is killed."""
    _set_process_option(PR_SET_PDEATHSIG, signal.SIGTERM)


def run_guarded() -> None:
    """Continue this command in a child process, so that all descendants end when the command ends.

    Parent and child adopt descendants whose own parent has ended, so a daemon or a new session cannot leave the process
    tree. The child process does the work of the command. The parent waits for the child, ends all remaining
    descendants, and exits with the child's exit code. If the parent is killed, the child receives SIGTERM. If the child
    is killed, the parent ends all other descendants.

    Call this function before the process has started a thread.
    """
    _set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    sys.stdout.flush()
    parent = os.getpid()
    watched = {*FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child:
        code = _guard(child, watched)
        end_processes(own_descendants)
        os._exit(code)
    end_with_parent()
    _set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if os.getppid() != parent:  # the parent was killed before it was watched
        os._exit(FIRST_ERROR_CODE + signal.SIGTERM)


def _guard(child: int, watched: set[signal.Signals]) -> int:
    """Pass signals on to the child until the child ends, and return the exit code of the child."""
    while True:
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            os.kill(child, number)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    code = os.waitstatus_to_exitcode(ended[1])
                    return code if code >= 0 else FIRST_ERROR_CODE - code


def _set_process_option(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _send(number: signal.Signals, processes: set[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
