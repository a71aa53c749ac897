"""The main loop of the daemon, and its reaction to signals and requests."""

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
from kwsd.audio.opening import Opener
from kwsd.bus.address import control_address, default_address
from kwsd.bus.control import ControlServer, Request
from kwsd.bus.events import StatusEvent
from kwsd.bus.publisher import Publisher
from kwsd.config.schema import Config
from kwsd.daemon.hangup import obey_hangup
from kwsd.daemon.listener import Listener
from kwsd.daemon.notify import Notifier
from kwsd.daemon.setup import MakeOpener, Setup, build_listeners
from kwsd.errors import AudioLostError, KwsdError
from kwsd.log import silence_libraries

log = logging.getLogger(__name__)

ROUND_S = 0.1
"""Minimum number of seconds between two rounds of work other than audio processing. The loop answers the first request
at once. Further requests wait for the next round. The limit prevents frequent requests from delaying the audio."""

START_LIMIT_S = 2.5
"""Maximum number of seconds that the daemon waits at its start until each stream has opened its audio source. Because
of this limit, an audio source that hangs does not prevent the other streams from starting."""

SUSPENDED_S = 2.5
"""If this many seconds pass between two rounds of the loop, the process itself must have been suspended. A suspended
process also suspends its capture threads, so missing audio then does not mean that a device hangs."""

WAIT_S = 1.0
"""Maximum number of seconds that the loop waits for new input while all streams deliver audio."""


class Daemon:
    """Listens to all streams, and publishes an event for each spoken keyword.

    Parameters
    ----------
    listeners : dict
        Maps each capture to its listener; see `kwsd.daemon.setup.build_listeners`.
    inbox : Inbox
        Queue into which the capture threads put audio blocks and messages.

    Raises
    ------
    AudioUnavailableError, AudioDataError
        The device of a stream cannot be opened at present.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the parts of a daemon
        self,
        setup: Setup,
        listeners: dict[Capture, Listener],
        inbox: Inbox[tuple[Capture, Item]],
        publisher: Publisher,
        control: ControlServer,
        notifier: Notifier,
    ) -> None:
        self._setup = setup
        self._listeners = list(listeners.values())
        self._running = dict(listeners)
        self._inbox = inbox
        self._publisher = publisher
        self._control = control
        self._notifier = notifier
        self._error: Exception | None = None
        self._last_round_s = 0.0
        self._sockets_paused = False
        self._reload_requested = False
        self._stopping = False
        self._hung_up = False
        self._items_from_start = self._take_first_items()
        self._inbox.watch([control.socket, publisher.socket])

    def run(self) -> None:
        """Listen until every stream has ended, or until `stop` is called.

        Raises
        ------
        AudioLostError
            All devices hang, and this process cannot open any of them again.
        AudioDataError
            The audio of a stream is damaged. The daemon has processed the readable part.
        """
        for listener in self._listeners:
            listener.start()
        self._notifier.ready()
        try:
            self._loop()
        finally:
            if self._hung_up:
                log.warning("the terminal is closed, so the daemon ends")
            self._notifier.stopping()
            for listener in self._listeners:
                listener.stop()  # all of them, before the first close waits
            for listener in self._listeners:
                listener.close()
            windows = sum(listener.windows for listener in self._listeners)
            event_count = sum(listener.event_count for listener in self._listeners)
            log.info("stopped after %d windows and %d events", windows, event_count)

    def stop(self) -> None:
        """Make the method `run` return soon. A signal handler may call this method."""
        self._stopping = True
        self._inbox.ring()

    def stop_with_terminal(self) -> None:
        """Make `run` return soon because the terminal of this process is closed.

        A signal handler may call this method.
        """
        self._hung_up = True
        self.stop()

    def reload(self) -> None:
        """Make `run` read the configuration again soon. A signal handler may call this method."""
        self._reload_requested = True
        self._inbox.ring()

    def run_round(self, now_s: float) -> None:
        """Do all work other than audio processing, at most once in `ROUND_S` or when a socket has woken the loop.

        Parameters
        ----------
        now_s : float
            ``time.monotonic()``.

        Raises
        ------
        AudioLostError
            The devices of all streams hang.
        """
        since_s = now_s - self._last_round_s
        if since_s < ROUND_S and not self._inbox.woken_by_socket:
            return
        self._last_round_s = now_s
        if since_s < SUSPENDED_S:
            self._check_for_stuck_devices(now_s)
        self._notifier.alive()
        subscribed = False
        if self._inbox.woken_by_socket or self._sockets_paused:
            # After a wake-up by a socket, the sockets have to wait for the next round.
            self._sockets_paused = self._control.answer_requests(self._fulfil) or self._inbox.woken_by_socket
            subscribed = self._publisher.read_subscriptions()
        if self._reload_requested:
            self._reload_requested = False
            with suppress(KwsdError):  # the log has it
                self._reload()
                self._publish_statuses()
        for listener in self._listeners:
            listener.publish_due_status(now_s, asked=subscribed)

    def _take_first_items(self) -> deque[tuple[Listener, Item]]:
        """Wait until each stream has opened its source or reported an error.

        Return the other capture items that arrived in the meantime.
        """
        further_items: deque[tuple[Listener, Item]] = deque()
        waiting, end_s = set(self._listeners), time.monotonic() + START_LIMIT_S
        while waiting and (received := self._inbox.next(max(0, end_s - time.monotonic()))):
            capture, item = received
            listener = self._running[capture]
            if listener in waiting and isinstance(item, End) and item.error:
                raise listener.name_error(item.error)
            if listener in waiting:
                listener.take(item)
            else:
                further_items.append((listener, item))
            waiting.discard(listener)
        return further_items

    def _loop(self) -> None:
        while self._items_from_start:
            self._take(*self._items_from_start.popleft())
        while self._running and not self._stopping:
            self.run_round(time.monotonic())
            received = self._next()
            if received:
                capture, item = received
                self._take(self._running[capture], item)
        if self._error and not self._stopping:
            raise self._error

    def _take(self, listener: Listener, item: Item) -> None:
        listener.take(item)
        if not isinstance(item, End):
            return
        self._running = {capture: other for capture, other in self._running.items() if other is not listener}
        if item.error and not self._error:
            self._error = listener.name_error(item.error)
        if self._running:
            listener.end_beside_others(item)

    def _next(self) -> tuple[Capture, Item] | None:
        if self._sockets_paused or self._reload_requested:  # further requests wait for the next round
            return self._inbox.next(ROUND_S, sockets=False)
        wait_s = ROUND_S
        if all(listener.hears for listener in self._running.values()):
            due_s = min(listener.due_s for listener in self._running.values())
            wait_s = min(max(ROUND_S, due_s - time.monotonic()), WAIT_S)
        return self._inbox.next(wait_s)

    def _check_for_stuck_devices(self, now_s: float) -> None:
        stuck = [listener.source for listener in self._running.values() if listener.report_stalled_capture(now_s)]
        if len(stuck) == len(self._running):
            raise AudioLostError(f"{' and '.join(stuck)} hangs and cannot be opened again by this process")

    def _publish_statuses(self) -> list[StatusEvent]:
        return [listener.publish_status() for listener in self._listeners]

    def _fulfil(self, request: Request) -> list[StatusEvent]:
        command = request.command
        if command == "stop":
            self.stop()
        elif command in {"mute", "unmute"}:
            for listener in self._running.values():
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
            self._setup.reload(self._publisher.set_client_keys)
        except KwsdError as error:
            log.error("the new configuration is refused, the old one stays: %s", error)  # noqa: TRY400  one line
            raise
        finally:
            self._notifier.ready()
        model = self._setup.model
        for listener in self._listeners:
            listener.use_model(model)
        log.info("reloaded: model %s", model.name)


def run_daemon(read_config: Callable[[], Config], make_opener: MakeOpener = Opener) -> None:
    """Run a daemon until its sources end, or until SIGTERM, SIGINT or a request stops it.

    Parameters
    ----------
    read_config : callable
        Function that reads and returns the configuration. The daemon calls this function at its start, on SIGHUP, and
        when a request asks for a reload.
    make_opener : callable
        Takes the ``device`` setting of a stream, and returns the function that opens this device.

    Raises
    ------
    KwsdError
        The daemon cannot listen. Each subclass of `KwsdError` has its own exit code.
    """
    silence_libraries()
    _allow_many_connections()
    setup = Setup(read_config)
    events_address = setup.config.address or default_address()
    requests_address = setup.config.control or control_address(events_address)
    with Publisher(events_address, setup.keys) as publisher, closing(ControlServer(requests_address)) as control:
        notifier, inbox = Notifier(), Inbox[tuple[Capture, Item]]()
        listeners = build_listeners(setup, publisher, notifier, inbox, make_opener)
        daemon = Daemon(setup, listeners, inbox, publisher, control, notifier)
        log.info("publishing on %s, controlled on %s", publisher.address, control.address)
        _obey_signals(daemon)
        daemon.run()


def _allow_many_connections() -> None:
    """Raise the limit of open files, because each subscriber uses an open file.

    The usual soft limit of 1,024 open files is meant for programs that use select(2); see systemd.exec(5).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _obey_signals(daemon: Daemon) -> None:
    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    obey_hangup(daemon.stop_with_terminal, daemon.reload)
