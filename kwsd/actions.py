"""Actions: commands that are run when keywords are spoken, each in a process of its own."""

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from kwsd.bus.events import KeywordEvent, encode_event
from kwsd.config.load import ENVIRONMENT_PREFIX
from kwsd.config.schema import ANY_KEYWORD, EVENT_FIELDS, PLACEHOLDER, ActionConfig
from kwsd.log import print_error

GRACE_S = 1.0
"""Seconds that a command has to end after SIGTERM, before SIGKILL."""


class ActionRun:
    """A command for one event, started and attended to by a thread of its own: a Ctrl+C cannot come in between.

    Parameters
    ----------
    event : KeywordEvent
    action : Action
    started_s : float
    """

    def __init__(self, event: KeywordEvent, action: ActionConfig, started_s: float) -> None:
        self.started_s = started_s
        self._event = event
        self._action = action
        self._lock = Lock()
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._attend, name=f"kwsd-action-{event.keyword}", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the command has been started and is not done."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the command."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until the command is done."""
        if self.running:
            self._thread.join()

    def stop(self) -> None:
        """End the command, or keep it from being started."""
        with self._lock:
            self._stopped = True
            if self._process and self._process.poll() is None:
                _end_process_group(self._process)

    def _attend(self) -> None:
        with self._lock:
            if self._stopped:
                return
            self._process = _start_command(self._event, self._action)
        if not self._process:
            return
        try:
            code = self._process.wait(self._action.timeout_s)
        except subprocess.TimeoutExpired:
            _end_process_group(self._process)
            _report(self._event, f"ended, as it was not done after {self._action.timeout_s:g} s")
            return
        if code and not self._stopped:
            _report(self._event, f"failed with exit code {code}" if code > 0 else f"ended by signal {-code}")


class ActionRunner:
    """Runs commands. One that fails, hangs or is not there is said on standard error, and nothing waits for it.

    Of each keyword at most one command runs at a time. Leaving the context waits for those that run, and ends them
    when it is left by an exception such as Ctrl+C.

    Parameters
    ----------
    actions : mapping
        Keyword, or `kwsd.config.schema.ANY_KEYWORD`, to action.

    Raises
    ------
    ValueError
        An action could never be run; see `kwsd.config.schema.ActionConfig.split_command`.
    """

    def __init__(self, actions: Mapping[str, ActionConfig]) -> None:
        for action in actions.values():
            action.split_command()
        self._actions = actions
        self._runs: dict[str, ActionRun] = {}

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
        self._wait()

    def __contains__(self, keyword: str) -> bool:
        """Whether there is an action for a keyword."""
        return keyword in self._actions or ANY_KEYWORD in self._actions

    def unknown_keywords(self, keywords: Iterable[str]) -> set[str]:
        """Keywords with an action that are not among these."""
        return self._actions.keys() - {ANY_KEYWORD, *keywords}

    def run(self, event: KeywordEvent, now_s: float) -> None:
        """Start the command for an event, if there is one.

        Parameters
        ----------
        event : KeywordEvent
        now_s : float
            Seconds on a clock that only goes forward.
        """
        if event.keyword not in self:
            return
        action = self._actions.get(event.keyword) or self._actions[ANY_KEYWORD]
        before = self._runs.get(event.keyword)
        if before and now_s - before.started_s < action.interval_s:
            _report(event, f"left out, as the one before is less than {action.interval_s:g} s ago")
        elif before and before.running:
            _report(event, "left out, as the one before still runs")
        else:
            self._runs[event.keyword] = ActionRun(event, action, now_s)
            self._runs[event.keyword].start()

    def _wait(self) -> None:
        for run in self._runs.values():
            run.wait()


def _start_command(event: KeywordEvent, action: ActionConfig) -> subprocess.Popen[bytes] | None:
    told = {
        "keyword": event.keyword,
        "score": f"{event.score:.4f}",
        "time": event.time.isoformat().replace("+00:00", "Z"),
        "id": event.id,
        "event": encode_event(event).decode(),
    }
    words = [PLACEHOLDER.sub(lambda found: told[found[1]], word) for word in action.split_command()]
    environment = {ENVIRONMENT_PREFIX + field.upper(): told[field] for field in EVENT_FIELDS}
    try:
        # Standard output is for the events. A group of its own, so that all that it starts can be ended.
        return subprocess.Popen(
            words, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True
        )
    except OSError as error:
        _report(event, f"cannot run {words[0]}: {error.strerror}")
    except ValueError:
        # Such as a zero byte in the keyword: who publishes it is no kwsd.
        _report(event, f"cannot run {words[0]}: the event is malformed")
    return None


def _end_process_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, politely at first."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _report(event: KeywordEvent, what: str) -> None:
    print_error(f"action for {event.keyword}: {what}")
