"""The daemon: wiring from source to publisher, the loop, and the signals and requests that steer it."""

import logging
import resource
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from types import FrameType

from kwsd.audio.capture import Capture, End, Item
from kwsd.audio.inbox import Inbox
from kwsd.bus.address import control_address, default_address
from kwsd.bus.control import Control, Request
from kwsd.bus.events import StatusEvent
from kwsd.bus.publisher import Publisher
from kwsd.config.schema import Config
from kwsd.daemon.listener import DEAF_S, Listener
from kwsd.daemon.notify import Notifier
from kwsd.daemon.setup import Setup
from kwsd.errors import AudioLostError, KwsdError
from kwsd.log import keep_libraries_quiet

log = logging.getLogger(__name__)

LOOK_S = 0.1
"""Seconds from one look at all that is not audio to the next. The first request after a look is served at once, others
at the next: a flood of them must not hold up the audio."""

SUBSCRIBERS_S = 0.5
"""After this long a look takes in new subscribers though their socket did not call: a call is lost where an event is
published before it is answered (zmq_getsockopt(3), ZMQ_FD)."""

WAIT_S = 1.25
"""Longest wait while all streams hear: longer than an idle capture keeps audio."""


class Daemon:
    """Publishes an event for each keyword that one of its streams says.

    Parameters
    ----------
    setup : Setup
    publisher : Publisher
    control : Control
    notifier : Notifier

    Raises
    ------
    AudioUnavailableError, AudioDataError
        A stream's device cannot be opened now.
    """

    def __init__(self, setup: Setup, publisher: Publisher, control: Control, notifier: Notifier) -> None:
        self._setup = setup
        self._publisher = publisher
        self._control = control
        self._notifier = notifier
        self._inbox: Inbox[tuple[Capture, Item]] = Inbox()
        self._listeners = [
            Listener(stream, setup, publisher, notifier, self._inbox) for stream in setup.config.streams()
        ]
        self._hearing = {listener.capture: listener for listener in self._listeners}
        self._error: Exception | None = None
        self._looked_s = self._admitted_s = 0.0
        self._asked = False
        self._reload_asked = False
        self._stopping = False
        self._early = self._first_items()
        self._watch_sockets()

    def run(self) -> None:
        """Listen until every stream ends or `stop` is called.

        Raises
        ------
        AudioLostError
            Every device hangs, so that none can be opened again by this process.
        AudioDataError
            A stream's audio ended otherwise than it should; what was usable has been processed.
        """
        for listener in self._listeners:
            waiting = f"waiting for audio from {listener.reporter.source}"
            if listener.reporter.state == "starting":
                listener.reporter.tell_manager(waiting)
            log.info("%s, model %s", listener.reporter.named(waiting), listener.reporter.model.name)
        self._notifier.ready()
        try:
            self._loop()
        finally:
            self._notifier.stopping()
            for listener in self._listeners:
                listener.capture.stop()  # all of them, before the first is waited for
            for listener in self._listeners:
                listener.close()
            windows = sum(listener.reporter.windows for listener in self._listeners)
            events = sum(listener.reporter.events.total() for listener in self._listeners)
            log.info("stopped after %d windows and %d events", windows, events)

    def stop(self) -> None:
        """Let `run` return soon; may be called from a signal handler."""
        self._stopping = True
        self._inbox.ring()

    def reload(self) -> None:
        """Let `run` read the configuration anew soon; may be called from a signal handler."""
        self._reload_asked = True
        self._inbox.ring()

    def _first_items(self) -> deque[tuple[Listener, Item]]:
        """Hear from each stream, or give it its time; what those say more that were early comes back untaken."""
        early: deque[tuple[Listener, Item]] = deque()
        missing, end_s = set(self._listeners), time.monotonic() + DEAF_S
        while missing and (found := self._inbox.next(max(0, end_s - time.monotonic()))):
            listener, item = self._hearing[found[0]], found[1]
            if listener in missing and isinstance(item, End) and item.error:
                raise _of_stream(listener, item.error)
            if listener in missing:
                listener.take(item)  # it is open, or missing
            else:
                early.append((listener, item))
            missing.discard(listener)
        return early

    def _loop(self) -> None:
        while self._early:
            self._take(*self._early.popleft())
        while self._hearing and not self._stopping:
            self._look_around()
            found = self._next()
            if found:
                self._take(self._hearing[found[0]], found[1])
        if self._error and not self._stopping:
            raise self._error

    def _take(self, listener: Listener, item: Item) -> None:
        listener.take(item)
        if not isinstance(item, End):
            return
        del self._hearing[listener.capture]
        error = item.error and _of_stream(listener, item.error)
        self._error = self._error or error
        if not self._hearing:
            return
        if item.error:
            log.error("%s", error)
            listener.reporter.enter("lost", str(item.error))
        else:
            listener.reporter.enter("stopping", "its audio has ended")

    def _next(self) -> tuple[Capture, Item] | None:
        if self._asked or self._reload_asked:  # whoever asks more must wait for the next look
            return self._inbox.next(LOOK_S, sockets=False)
        wait_s = LOOK_S
        if all(listener.hears for listener in self._hearing.values()):
            due_s = min(listener.due_s for listener in self._hearing.values())
            wait_s = min(max(LOOK_S, due_s - time.monotonic()), WAIT_S)
        return self._inbox.next(wait_s)

    def _look_around(self) -> None:
        """Do what is not audio; not at each turn, of which there are many where there are many streams."""
        now_s = time.monotonic()
        since_s = now_s - self._looked_s
        if since_s < LOOK_S and not self._inbox.called:
            return
        self._looked_s = now_s
        if since_s < DEAF_S:  # else the process itself was stopped, and its captures had no chance to run
            self._look_for_stuck_devices()
        self._notifier.alive()
        called, subscribed = self._inbox.called or self._asked, False
        if called:
            self._asked = self._control.serve(self._fulfil) or self._inbox.called
        if called or now_s - self._admitted_s >= SUBSCRIBERS_S:
            self._admitted_s = now_s
            subscribed = self._publisher.new_subscribers()
        if self._reload_asked:
            self._reload_asked = False
            with suppress(KwsdError):  # the log has it
                self._reload()
                self._publish_statuses()
        for listener in self._listeners:
            if listener.reporter.state != "stopping":
                listener.reporter.keep_informed(asked=subscribed)

    def _look_for_stuck_devices(self) -> None:
        stuck = [listener.reporter.source for listener in self._hearing.values() if listener.stuck()]
        if len(stuck) == len(self._hearing):
            raise AudioLostError(f"{' and '.join(stuck)} hangs and cannot be opened again by this process")

    def _watch_sockets(self) -> None:
        self._inbox.watch([self._control.descriptor, self._publisher.descriptor])

    def _publish_statuses(self) -> list[StatusEvent]:
        return [listener.reporter.publish_status() for listener in self._listeners]

    def _fulfil(self, request: Request) -> list[StatusEvent]:
        command = request.command
        if command == "stop":
            self.stop()
        elif command in {"mute", "unmute"}:
            for listener in self._hearing.values():
                listener.mute(on=command == "mute")
        elif command == "reload":
            self._reload()
        elif command == "thresholds":
            for listener in self._listeners:
                listener.set_thresholds(request.thresholds)
        return self._publish_statuses()

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            self._setup.reload()
        except KwsdError as error:
            log.error("the new configuration is refused, the old one stays: %s", error)  # noqa: TRY400  one line
            raise
        finally:
            self._notifier.ready()
        self._publisher.admit(self._setup.keys)
        self._watch_sockets()
        for listener in self._listeners:
            listener.use(self._setup.model)
        log.info("reloaded: model %s", self._setup.model.name)


def run_daemon(read_config: Callable[[], Config]) -> None:
    """Run a daemon until its source ends, or SIGTERM, SIGINT or a request stops it.

    Parameters
    ----------
    read_config : callable
        Gives the configuration; called again on SIGHUP and on request.

    Raises
    ------
    KwsdError
        Whatever keeps it from listening; each error has its exit code.
    """
    keep_libraries_quiet()
    _allow_many_connections()
    setup = Setup(read_config)
    events = setup.config.address or default_address()
    steered = setup.config.control or control_address(events)
    with Publisher(events, setup.keys) as publisher, closing(Control(steered)) as control:
        daemon = Daemon(setup, publisher, control, Notifier())
        log.info("publishing on %s, controlled on %s", publisher.address, control.address)
        _obey_signals(daemon)
        daemon.run()


def _of_stream(listener: Listener, error: Exception) -> Exception:
    """An error of ours says which stream it is about."""
    return type(error)(listener.reporter.named(str(error))) if isinstance(error, KwsdError) else error


def _allow_many_connections() -> None:
    """Each subscriber takes a file; the usual soft limit of 1,024 is for programs that use select (systemd.exec(5))."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _obey_signals(daemon: Daemon) -> None:
    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, lambda _number, _frame: daemon.reload())
