"""Ends processes with everything that they have started, and ties the life of a process to that of its parent."""

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
"""Options of prctl(2), from linux/prctl.h."""

GRACE_S = 1.0
"""Seconds between SIGTERM and SIGKILL, in which a process can end by itself."""

KILL_S = 2.0
"""Longest wait for processes after SIGKILL. A process that hangs in the kernel ends later."""

POLL_S = 0.02
"""Seconds between two looks at processes that are about to end."""

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that end a command. The parent passes them on to the process that does the work."""

FIRST_ERROR_CODE = 128
"""Shells add this to the number of the signal that ended a process."""


class ProcessInfo(NamedTuple):
    """Parent and session of a process, and whether it has ended and left only its exit code: a zombie."""

    parent: int
    session: int
    ended: bool


def list_processes() -> dict[int, ProcessInfo]:
    """All processes of this machine, by their identifier."""
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
    """The processes that some ancestors have started, directly or through others, without the ancestors."""
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
    """All running processes below this one."""
    processes = list_processes()
    return {pid for pid in find_descendants(processes, {os.getpid()}) if not processes[pid].ended}


def reap_orphans(own: set[int]) -> None:
    """Remove the zombies that this process has adopted; see `run_guarded`.

    Parameters
    ----------
    own : set of int
        Children that this process has started. Other code waits for their exit codes.
    """
    for pid, info in list_processes().items():
        if info.ended and info.parent == os.getpid() and pid not in own:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


@contextmanager
def ending_descendants() -> Iterator[None]:
    """End everything that this process has started when the block ends."""
    try:
        yield
    finally:
        end_processes(own_descendants)


def end_processes(find: Callable[[], set[int]], grace_s: float = GRACE_S) -> None:
    """End processes: first with SIGTERM, and after `grace_s` with SIGKILL.

    Parameters
    ----------
    find : callable
        Returns the processes that have not ended. It is called again and again, because a process that ends may start
        another one, and its children may only then become visible as descendants.
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
    """Let this process receive SIGTERM when its parent ends, also when the parent is killed."""
    _set_process_option(PR_SET_PDEATHSIG, signal.SIGTERM)


def run_guarded() -> None:
    """Continue in a child process, so that no descendant outlives this command.

    Both processes adopt orphans among their descendants, so a daemon or a new session cannot leave the tree. The child
    does the work. The parent waits for the child, ends all that is left, and exits with the child's exit code. If
    somebody kills the parent, the child receives SIGTERM. If somebody kills the child, the parent ends the rest.

    This function must be called before the process has started a thread.
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
    """Pass signals on to the child until it ends, and return its exit code."""
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
