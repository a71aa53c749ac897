"""The daemon: wiring from source to publisher, the loop, and the signals that end it."""

import logging
import signal
import time
import uuid
from types import FrameType

from kwsd import events
from kwsd.address import default_address
from kwsd.capture import Arrival, Capture, End, Lost
from kwsd.config import Config
from kwsd.detector import Detection
from kwsd.errors import AudioLostError
from kwsd.events import KeywordEvent, SampleRange, State, StatusEvent
from kwsd.model import Model, load_model
from kwsd.notify import Notifier
from kwsd.publisher import Publisher
from kwsd.sources import open_source
from kwsd.spotter import Spotter

log = logging.getLogger(__name__)

POLL_S = 0.1
"""Longest wait for a block, and so for a signal or a new subscriber to be seen."""

STATUS_S = 5.0
"""Seconds from one status event to the next."""

DEAF_S = 2.8
"""Seconds without a block after which a live source counts as lost."""

STUCK_S = 15.0
"""Seconds without a word from the capture thread, which then hangs in the device: only a new process can help."""


class Daemon:
    """Publishes an event for each keyword that a source says.

    Parameters
    ----------
    model : Model
    device : str
        As for `kwsd.sources.open_source`; opened here, and again whenever it is lost.
    publisher : Publisher
    notifier : Notifier

    Raises
    ------
    AudioUnavailableError, AudioDataError
        The device cannot be opened now.
    """

    def __init__(self, model: Model, device: str, publisher: Publisher, notifier: Notifier) -> None:
        self._model = model
        self._device = device
        self._source = open_source(device)
        self._publisher = publisher
        self._notifier = notifier
        self._spotter = Spotter(model)
        self._run_id = uuid.uuid4().hex
        self._state: State = "starting"
        self._reason = ""
        self._events = 0
        self._gaps = 0
        self._stopping = False
        self._started_s = time.monotonic()
        self._next_status_s = self._started_s

    def run(self) -> None:
        """Listen until the source ends or `stop` is called.

        Raises
        ------
        AudioLostError
            The device hangs, so that it cannot be opened again by this process.
        AudioDataError
            The source's audio ended otherwise than it should; what was usable has been processed.
        """
        capture = Capture(self._source, lambda: open_source(self._device, again=True))
        self._notifier.ready(f"listening on {self._source.name}")
        log.info("listening on %s with model %s", self._source.name, self._model.name)
        log.info("publishing on %s", self._publisher.address)
        try:
            self._loop(capture)
        finally:
            self._notifier.stopping()
            capture.close()
            self._enter("stopping")
            log.info("stopped after %d windows and %d events", self._spotter.windows, self._events)

    def stop(self) -> None:
        """Let `run` return soon; may be called from a signal handler."""
        self._stopping = True

    def _loop(self, capture: Capture) -> None:
        while not self._stopping:
            item = capture.next(POLL_S)
            if isinstance(item, End):
                self._finish(item)
                return
            if isinstance(item, Arrival):
                self._process(item)
            elif isinstance(item, Lost):
                self._lose(item.reason)
            else:
                self._check_hearing(capture)
            if self._publisher.new_subscribers() or time.monotonic() >= self._next_status_s:
                self._publish_status()

    def _process(self, arrival: Arrival) -> None:
        if arrival.block.gap or self._state == "lost":
            self._gaps += 1
            self._spotter.reset()
            log.warning("audio was lost: the window begins anew")
        if self._state != "listening":
            self._enter("listening")
        for detection in self._spotter.feed(arrival.block.samples):
            self._publish_keyword(detection, arrival.monotonic_s)
        self._notifier.alive()

    def _check_hearing(self, capture: Capture) -> None:
        if self._source.live:
            stalled_s = time.monotonic() - capture.active_s
            if stalled_s > STUCK_S:
                raise AudioLostError(f"{self._source.name} hangs and cannot be opened again by this process")
            if stalled_s > DEAF_S and self._state != "lost":
                self._lose(f"{self._source.name} delivers no audio")
        self._notifier.alive()

    def _lose(self, reason: str) -> None:
        log.warning("%s; opening it again until it is back", reason)
        self._enter("lost", reason)

    def _finish(self, end: End) -> None:
        if not self._source.live:
            for detection in self._spotter.flush():
                self._publish_keyword(detection, time.monotonic())
        if end.error is not None:
            raise end.error

    def _enter(self, state: State, reason: str = "") -> None:
        self._state, self._reason = state, reason
        self._publish_status()

    def _publish_keyword(self, detection: Detection, arrived_s: float) -> None:
        sequence = self._publisher.next_sequence(events.KEYWORD_TOPIC + detection.keyword)
        event = KeywordEvent(
            id=f"{self._run_id}-{detection.keyword}-{sequence}",
            run=self._run_id,
            seq=sequence,
            time=events.now(),
            keyword=detection.keyword,
            score=detection.score,
            sample=detection.sample,
            window=SampleRange(*detection.window),
            model=self._model.name,
            source=self._source.name,
            latency_ms=round(1000 * (time.monotonic() - arrived_s), 3),
        )
        self._publisher.publish(event)
        self._events += 1
        log.info("%s (score %.2f)", detection.keyword, detection.score)

    def _publish_status(self) -> None:
        now_s = time.monotonic()
        self._next_status_s = now_s + STATUS_S
        status = StatusEvent(
            run=self._run_id,
            seq=self._publisher.next_sequence(events.STATUS_TOPIC),
            time=events.now(),
            state=self._state,
            reason=self._reason,
            model=self._model.name,
            keywords=list(self._model.keywords),
            source=self._source.name,
            uptime_s=round(now_s - self._started_s, 3),
            windows=self._spotter.windows,
            events=self._events,
            gaps=self._gaps,
        )
        self._publisher.publish(status)


def run_daemon(config: Config) -> None:
    """Run a daemon until its source ends, or SIGTERM or SIGINT arrives.

    Raises
    ------
    KwsdError
        Whatever keeps it from listening; each error has its exit code.
    """
    model = load_model(config.model, config.labels)
    model.set_thresholds(config.thresholds)
    with Publisher(config.address or default_address()) as publisher:
        daemon = Daemon(model, config.device, publisher, Notifier())
        _stop_on_signals(daemon)
        daemon.run()


def _stop_on_signals(daemon: Daemon) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
