"""Runs the user's commands when keywords are detected, each in a separate process."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from kwsd.bus.events import KeywordEvent, encode_event
from kwsd.config.load import ENVIRONMENT_PREFIX
from kwsd.config.schema import ANY_KEYWORD, EVENT_FIELDS, PLACEHOLDER, ActionConfig
from kwsd.log import print_error
from kwsd.system.processes import end_processes, find_descendants, list_processes, reap_orphans


class Children:
    """The commands that this process has started and whose exit codes this process has not read yet.

    No command starts while a thread holds the lock. Without the lock, `reap_orphans` could read the exit code of a
    command that ended before its identifier was in the set.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.pids: set[int] = set()

    def remove(self, pid: int) -> None:
        """Record that the exit code of a command is known, and remove the orphans that the command has left."""
        with self.lock:
            self.pids.discard(pid)
            reap_orphans(self.pids)


CHILDREN = Children()

MAX_COMMANDS = 8
"""Maximum number of commands that run at the same time. More commands than this cannot come from a person, who says one
word after the other."""


class ActionRun:
    """One execution of a command for an event.

    A separate thread starts the command and waits for it. Python raises KeyboardInterrupt only in the main thread, so
    Ctrl+C does not interrupt the separate thread.

    Parameters
    ----------
    event : KeywordEvent
        The event that triggers the command.
    action : ActionConfig
        The command.
    started_s : float
        Time of the event in seconds, on a monotonic clock.
    """

    def __init__(self, event: KeywordEvent, action: ActionConfig, started_s: float) -> None:
        self.started_s = started_s
        self._event = event
        self._action = action
        self._lock = Lock()
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._execute, name=f"kwsd-action-{event.keyword}", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the command has started and has not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the command."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until the command ends."""
        if self.running:
            self._thread.join()

    def stop(self) -> None:
        """Prevent the start of the command if it has not started.

        If the command has started, `find_processes` returns the processes that the caller must stop.
        """
        # While this method holds the lock, the command cannot start.
        with self._lock:
            self._stopped = True

    def find_processes(self) -> set[int]:
        """Return the processes of the command and of its descendants, or an empty result if the command has ended."""
        if not (self.running and self._process):
            return set()
        return _find_command_processes(self._process.pid, self._event.id)

    def _execute(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self._process = _start_command(self._event, self._action)
        if not self._process:
            return
        try:
            code = self._process.wait(self._action.timeout_s)
        except subprocess.TimeoutExpired:
            end_processes(self.find_processes)
            self._process.wait()
            _report(self._event, f"stopped because it still ran after {self._action.timeout_s:g} s")
            return
        finally:
            CHILDREN.remove(self._process.pid)
        if code and not self._stopped:
            _report(self._event, f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}")


class ActionRunner:
    """Runs the commands for keyword events.

    At most one command per keyword runs at a time, and at most `MAX_COMMANDS` commands in total. Further events are
    counted. If a command is missing, fails or hangs, one line on standard error reports this, and the other commands
    still run. The end of the ``with`` block waits for the commands that are still running. An exception such as Ctrl+C
    stops the commands that are still running.

    Parameters
    ----------
    actions : mapping
        Actions by keyword. The key `kwsd.config.schema.ANY_KEYWORD` applies to every keyword that
        has no other action.

    Raises
    ------
    ValueError
        A command is invalid; see `kwsd.config.schema.ActionConfig.split_command`.
    """

    def __init__(self, actions: Mapping[str, ActionConfig]) -> None:
        for action in actions.values():
            action.split_command()
        self._actions = actions
        self._runs: dict[str, ActionRun] = {}
        self._skipped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            for run in self._runs.values():
                run.stop()
            # All at once: each of them may use the whole time between SIGTERM and SIGKILL.
            end_processes(lambda: set().union(*(run.find_processes() for run in self._runs.values())))
        self._wait()
        self._report_skipped()

    def __contains__(self, keyword: str) -> bool:
        """Whether a keyword has an action."""
        return keyword in self._actions or ANY_KEYWORD in self._actions

    @property
    def running(self) -> int:
        """Number of commands that are running."""
        return sum(run.running for run in self._runs.values())

    def unknown_keywords(self, keywords: Iterable[str]) -> set[str]:
        """Return the keywords that have an action but are missing from `keywords`."""
        return self._actions.keys() - {ANY_KEYWORD, *keywords}

    def run(self, event: KeywordEvent, now_s: float) -> None:
        """Start the command for an event if the keyword of the event has an action.

        Parameters
        ----------
        event : KeywordEvent
            The event of the detected keyword.
        now_s : float
            Current time on a monotonic clock, in seconds.
        """
        if event.keyword not in self:
            return
        self._forget_ended(now_s)
        action = self._action(event.keyword)
        previous = self._runs.get(event.keyword)
        if previous and now_s - previous.started_s < action.interval_s:
            _report(event, f"skipped because the previous one started less than {action.interval_s:g} s ago")
        elif previous and previous.running:
            _report(event, "skipped because the previous one still runs")
        elif self.running >= MAX_COMMANDS:
            self._skipped += 1
            if self._skipped == 1:
                _report(event, f"skipped because {MAX_COMMANDS} commands still run; more skipped events are counted")
        else:
            self._report_skipped()
            self._runs[event.keyword] = ActionRun(event, action, now_s)
            self._runs[event.keyword].start()

    def _action(self, keyword: str) -> ActionConfig:
        return self._actions.get(keyword) or self._actions[ANY_KEYWORD]

    def _forget_ended(self, now_s: float) -> None:
        """Forget the commands that cannot affect the next event.

        Without this cleanup, forged events with new keywords could use up the memory.
        """
        self._runs = {
            word: run
            for word, run in self._runs.items()
            if run.running or now_s - run.started_s < self._action(word).interval_s
        }

    def _report_skipped(self) -> None:
        if self._skipped > 1:
            print_error(f"{self._skipped} events were skipped because {MAX_COMMANDS} commands were running")
        self._skipped = 0

    def _wait(self) -> None:
        for run in self._runs.values():
            run.wait()


def _start_command(event: KeywordEvent, action: ActionConfig) -> subprocess.Popen[bytes] | None:
    fields = {
        "keyword": event.keyword,
        "score": f"{event.score:.4f}",
        "time": event.time.isoformat().replace("+00:00", "Z"),
        "id": event.id,
        "event": encode_event(event).decode(),
    }
    words = [PLACEHOLDER.sub(lambda found: fields[found[1]], word) for word in action.split_command()]
    environment = {ENVIRONMENT_PREFIX + field.upper(): fields[field] for field in EVENT_FIELDS}
    try:
        # `kwsd act` prints events on standard output, so the command writes to standard error. Orphans of the command
        # can be recognised by its session.
        with CHILDREN.lock:
            process = subprocess.Popen(
                words, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True
            )
            CHILDREN.pids.add(process.pid)
            return process
    except OSError as error:
        _report(event, f"cannot run {words[0]}: {error.strerror}")
    except ValueError:
        # For example, the keyword contains a zero byte. A real kwsd does not publish this.
        _report(event, f"cannot run {words[0]}: the event is malformed")
    return None


def _find_command_processes(command: int, event_id: str) -> set[int]:
    """Return the processes of a command: its descendants, its session, and orphans that have left both.

    If this process runs under `kwsd.system.processes.run_guarded`, it has adopted the orphans of the command. The
    environment of an orphan contains the identifier of the event.
    """
    processes = list_processes()
    orphans = {pid for pid, info in processes.items() if info.parent == os.getpid()} - CHILDREN.pids
    roots = {command} | {pid for pid, info in processes.items() if info.session == command}
    roots |= {pid for pid in orphans if _has_event(pid, event_id)}
    found = roots | find_descendants(processes, roots)
    return {pid for pid in found if pid in processes and not processes[pid].ended}


def _has_event(pid: int, event_id: str) -> bool:
    with suppress(OSError):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return f"{ENVIRONMENT_PREFIX}ID={event_id}".encode() in variables
    return False


def _report(event: KeywordEvent, problem: str) -> None:
    print_error(f"action for {event.keyword}: {problem}")
