"""The daemon: wiring from source to publisher, the loop, and the signals that end it."""

import logging
import signal
import time
import uuid
from types import FrameType

from kwsd import events
from kwsd.address import default_address
from kwsd.capture import Arrival, Capture, End
from kwsd.config import Config
from kwsd.detector import Detection
from kwsd.errors import AudioLostError
from kwsd.events import KeywordEvent, SampleRange, State, StatusEvent
from kwsd.model import Model, load_model
from kwsd.notify import Notifier
from kwsd.publisher import Publisher
from kwsd.sources import Source, open_source
from kwsd.spotter import Spotter

log = logging.getLogger(__name__)

POLL_S = 0.1
"""Longest wait for a block, and so for a signal or a new subscriber to be seen."""

STATUS_S = 5.0
"""Seconds from one status event to the next."""

DEAF_S = 3.0
"""Seconds without a block after which a live source counts as lost."""


class Daemon:
    """Publishes an event for each keyword that a source says.

    Parameters
    ----------
    model : Model
    source : Source
    publisher : Publisher
    notifier : Notifier
    """

    def __init__(self, model: Model, source: Source, publisher: Publisher, notifier: Notifier) -> None:
        self._model = model
        self._source = source
        self._publisher = publisher
        self._notifier = notifier
        self._spotter = Spotter(model)
        self._run_id = uuid.uuid4().hex
        self._state: State = "starting"
        self._events = 0
        self._gaps = 0
        self._stopping = False
        self._started_s = self._last_block_s = time.monotonic()
        self._next_status_s = self._started_s

    def run(self) -> None:
        """Listen until the source ends or `stop` is called.

        Raises
        ------
        AudioLostError
            A live source has delivered nothing for three seconds, or went away.
        AudioDataError
            The source's audio ended otherwise than it should; what was usable has been processed.
        """
        capture = Capture(self._source)
        self._notifier.ready(f"listening on {self._source.name}")
        log.info(
            "listening on %s with model %s, publishing on %s",
            self._source.name,
            self._model.name,
            self._publisher.address,
        )
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
            if item is not None:
                self._process(item)
            elif self._source.live and time.monotonic() - self._last_block_s > DEAF_S:
                raise AudioLostError(f"{self._source.name} has delivered no audio for {DEAF_S:.0f} seconds")
            if self._publisher.new_subscribers() or time.monotonic() >= self._next_status_s:
                self._publish_status()

    def _process(self, arrival: Arrival) -> None:
        self._last_block_s = arrival.monotonic_s
        if arrival.block.gap:
            self._gaps += 1
            self._spotter.reset()
            log.warning("audio was lost: the window begins anew")
        for detection in self._spotter.feed(arrival.block.samples):
            self._publish_keyword(detection, arrival.monotonic_s)
        self._notifier.alive()
        if self._state == "starting":
            self._enter("listening")

    def _finish(self, end: End) -> None:
        if end.error is None or not self._source.live:
            for detection in self._spotter.flush():
                self._publish_keyword(detection, time.monotonic())
        if end.error is not None:
            raise end.error

    def _enter(self, state: State) -> None:
        self._state = state
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
        daemon = Daemon(model, open_source(config.device), publisher, Notifier())
        _stop_on_signals(daemon)
        daemon.run()


def _stop_on_signals(daemon: Daemon) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:
        # A second signal ends the process at once.
        signal.signal(number, signal.SIG_DFL)
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
