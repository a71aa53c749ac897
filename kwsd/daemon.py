"""The daemon: wiring from source to publisher, the loop, and the signals and requests that steer it."""

import logging
import resource
import signal
import time
from collections.abc import Callable
from contextlib import closing, suppress
from types import FrameType

import numpy as np

from kwsd.address import control_address, default_address
from kwsd.capture import Arrival, Capture, End, Lost, Opened
from kwsd.clips.keeper import Keeper
from kwsd.config import Config
from kwsd.control import Control, Request
from kwsd.errors import AudioLostError, KwsdError
from kwsd.events import StatusEvent
from kwsd.log import keep_libraries_quiet
from kwsd.notify import Notifier
from kwsd.publisher import Publisher
from kwsd.reporter import Reporter
from kwsd.setup import Setup
from kwsd.silence import Silence
from kwsd.sources import Opener, is_live
from kwsd.spotter import FLUSH_SAMPLES, Spotter

log = logging.getLogger(__name__)

POLL_S = 0.1
"""Longest wait for a block, and so for a signal, a request or a new subscriber to be seen."""

DEAF_S = 2.5
"""Seconds without a block after which a live source counts as lost."""

STUCK_S = 15.0
"""Seconds without a word from the capture thread, which then hangs in the device: only a new process can help."""


class Daemon:
    """Publishes an event for each keyword that a source says.

    Parameters
    ----------
    setup : Setup
        Its device is opened, and again whenever it is lost. One that is not there yet is waited for where a service
        manager runs the daemon: nobody is there who could start it again.
    publisher : Publisher
    control : Control
    notifier : Notifier

    Raises
    ------
    AudioUnavailableError, AudioDataError
        The device cannot be opened now.
    """

    def __init__(self, setup: Setup, publisher: Publisher, control: Control, notifier: Notifier) -> None:
        self._setup = setup
        self._keeper = Keeper(setup.config.clips)
        device = setup.config.device
        self._live = is_live(device)
        self._capture = Capture(Opener(device), patient=self._live and notifier.managed)
        self._first = self._capture.next(DEAF_S)
        if isinstance(self._first, End) and self._first.error:
            raise self._first.error
        name = self._first.name if isinstance(self._first, Opened) else device
        self._reporter = Reporter(publisher, setup.model, name, self._capture, notifier)
        self._reporter.keeper = self._keeper
        self._publisher = publisher
        self._control = control
        self._notifier = notifier
        self._spotter = Spotter(setup.model)
        self._silence = Silence()
        self._muted = False
        self._reload_asked = False
        self._stopping = False

    def run(self) -> None:
        """Listen until the source ends or `stop` is called.

        Raises
        ------
        AudioLostError
            The device hangs, so that it cannot be opened again by this process.
        AudioDataError
            The source's audio ended otherwise than it should; what was usable has been processed.
        """
        waiting = f"waiting for audio from {self._reporter.source}"
        self._notifier.status(waiting)
        log.info("%s, model %s", waiting, self._reporter.model.name)
        if isinstance(self._first, Lost):
            self._reporter.enter("lost", self._first.reason)
        self._notifier.ready()
        try:
            self._loop()
        finally:
            self._notifier.stopping()
            self._capture.close()
            self._keeper.close()
            self._reporter.enter("stopping")
            log.info("stopped after %d windows and %d events", self._reporter.windows, self._reporter.events.total())

    def stop(self) -> None:
        """Let `run` return soon; may be called from a signal handler."""
        self._stopping = True

    def reload(self) -> None:
        """Let `run` read the configuration anew soon; may be called from a signal handler."""
        self._reload_asked = True

    def _loop(self) -> None:
        item = self._first
        while not self._stopping:
            if isinstance(item, End):
                self._finish(item)
                return
            self._take(item)
            self._notifier.alive()
            self._control.serve(self._fulfil)
            if self._reload_asked:
                self._reload_asked = False
                with suppress(KwsdError):  # the log has it
                    self._reload()
                    self._reporter.publish_status()
            self._reporter.keep_informed()
            item = self._capture.next(POLL_S)

    def _take(self, item: Opened | Arrival | Lost | None) -> None:
        if isinstance(item, Arrival):
            self._process(item)
        elif isinstance(item, Opened):
            self._reporter.source = item.name
        elif isinstance(item, Lost):
            self._reporter.enter("lost", item.reason)
        else:
            self._check_hearing()

    def _process(self, arrival: Arrival) -> None:
        samples, gap = arrival.block
        if gap or self._reporter.state == "lost":
            self._reporter.lose_audio()
            self._spotter.reset()
            self._keeper.reset()
            self._silence.reset()
        self._silence.feed(samples)
        self._reporter.silent_s = self._silence.seconds
        self._reporter.enter("muted" if self._muted else "listening", self._silence.reason)
        if self._muted:
            self._spotter.skip(samples)
        else:
            self._spot(arrival)

    def _spot(self, arrival: Arrival) -> None:
        windows, started_s = self._spotter.windows, time.perf_counter()
        self._spotter.attentive = self._publisher.watched or self._keeper.on
        detections = self._spotter.feed(arrival.block.samples)
        self._reporter.processed(self._spotter.windows - windows, time.perf_counter() - started_s)
        for detection in detections:
            self._reporter.publish_keyword(detection, arrival.monotonic_s)
        self._keeper.hear(arrival.block.samples, self._spotter, detections)
        if self._publisher.watched and self._spotter.windows > windows:
            self._reporter.publish_monitor(arrival.block.samples, self._spotter)

    def _check_hearing(self) -> None:
        if not self._live:
            return
        stalled_s = time.monotonic() - self._capture.active_s
        if stalled_s > STUCK_S:
            raise AudioLostError(f"{self._reporter.source} hangs and cannot be opened again by this process")
        if stalled_s > DEAF_S and self._reporter.state != "lost":
            self._reporter.enter("lost", f"{self._reporter.source} delivers no audio")

    def _finish(self, end: End) -> None:
        if not self._live and not self._muted:
            detections = self._spotter.flush()
            for detection in detections:
                self._reporter.publish_keyword(detection, time.monotonic())
            self._keeper.hear(np.zeros(FLUSH_SAMPLES, np.float32), self._spotter, detections)
        if end.error is not None:
            raise end.error

    def _fulfil(self, request: Request) -> StatusEvent:
        command = request.command
        if command == "stop":
            self.stop()
        elif command in {"mute", "unmute"}:
            self._mute(on=command == "mute")
        elif command == "reload":
            self._reload()
        elif command == "thresholds":
            self._spotter.set_thresholds(request.thresholds)
        return self._reporter.publish_status()

    def _mute(self, *, on: bool) -> None:
        self._muted = on
        self._keeper.reset()
        if self._reporter.state in {"listening", "muted"}:
            self._reporter.enter("muted" if on else "listening", self._silence.reason)

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
        self._reporter.model = self._setup.model
        self._spotter.use(self._setup.model)
        self._keeper.reset()
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
