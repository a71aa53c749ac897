"""The reporter: makes events of what the daemon hears and how it is, counts them, and publishes them."""

import logging
import time
from collections import Counter, deque

from kwsd.audio.capture import Capture
from kwsd.bus import events
from kwsd.bus.events import KeywordEvent, MonitorEvent, Quantiles, SampleRange, State, StatusEvent
from kwsd.bus.publisher import Publisher
from kwsd.clips.keeper import Keeper
from kwsd.config.schema import Stream
from kwsd.daemon.notify import Notifier
from kwsd.frontend import Float32
from kwsd.levels import bands_db, mean_db, peak_db
from kwsd.models.model import Model
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.spotter import Spotter

log = logging.getLogger(__name__)

STATUS_S = 5.0
"""Seconds from one status event to the next."""

CALM_S = 60.0
"""Seconds from one line in the log to the next about what may come often: gaps, and silence of a gated microphone."""

TIMED_WINDOWS = 750
"""Windows whose processing times are kept: a minute of them at the hop of the bundled models."""


class Seldom:
    """Says once in a while that a line is due in the log."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def due(self) -> bool:
        """Whether the line before it is `CALM_S` old."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + CALM_S
        return True


class Reporter:
    """Speaks for one stream of the daemon.

    Parameters
    ----------
    publisher : Publisher
    model : Model
        May be replaced between two events.
    stream : Stream
    capture : Capture
        Asked for its counts.
    notifier : Notifier
        Told each state, so that ``systemctl status`` shows it.
    keeper : Keeper
        Asked for its counts.

    Attributes
    ----------
    source : str
        Name of what is listened to; as configured until it is open.
    state, reason : str
        As in the latest status event.
    windows, gaps : int
        Counted by the daemon.
    silent_s : float
        Kept by the daemon.
    due_s : float
        ``time.monotonic()`` at which the next status is due.
    events : Counter
        Keyword events published so far, by keyword.
    """

    def __init__(  # noqa: PLR0913, PLR0917  each is asked or told something else
        self,
        publisher: Publisher,
        model: Model,
        stream: Stream,
        capture: Capture,
        notifier: Notifier,
        keeper: Keeper,
    ) -> None:
        self._publisher = publisher
        self._notifier = notifier
        self.model = model
        self.stream = stream.name
        self.source = stream.device
        self._capture = capture
        self._keeper = keeper
        self._started_s = time.monotonic()
        self.due_s = self._started_s
        self._gap_line = Seldom()
        self._reason_line = Seldom()
        self._reason_said = False
        self.state: State = "starting"
        self.reason = ""
        self.windows = 0
        self.gaps = 0
        self.silent_s = 0.0
        self._processing_ms: deque[float] = deque(maxlen=TIMED_WINDOWS)
        self.events: Counter[str] = Counter()

    def enter(self, state: State, reason: str = "") -> None:
        """Say, once, that the daemon's state or the reason for it is another."""
        if (state, reason) == (self.state, self.reason):
            return
        if reason or state != self.state:
            self._reason_said = state != self.state or self._reason_line.due()
        level = logging.WARNING if reason else logging.INFO
        self.state, self.reason = state, reason
        line = f"listening on {self.source}" if state == "listening" else state
        line = f"{line}: {reason}" if reason else line
        log.log(level if self._reason_said else logging.DEBUG, "%s", self.named(line))
        self.tell_manager(line)
        self.publish_status()

    def named(self, line: str) -> str:
        """A line for the log, with the name of the stream if it has one."""
        return f"{self.stream}: {line}" if self.stream else line

    def tell_manager(self, line: str) -> None:
        """Say to the service manager how the stream is."""
        self._notifier.status(self.named(line), self.stream)

    def lose_audio(self) -> None:
        """Count a gap; say it at once, but not for each of many."""
        self.gaps += 1
        if self._gap_line.due():
            line = f"audio was lost: the window begins anew on {self.source} (gap {self.gaps})"
            log.warning("%s", self.named(line))
            self.publish_status()

    def keep_informed(self, *, asked: bool) -> None:
        """Publish the status when it is due, or somebody has just subscribed to it."""
        if asked or time.monotonic() >= self.due_s:
            self.publish_status()

    def publish_status(self) -> StatusEvent:
        """Publish the status, and return it."""
        now_s = time.monotonic()
        self.due_s = now_s + STATUS_S
        status = StatusEvent(
            run=self._publisher.run,
            seq=self._publisher.next_sequence(events.STATUS_TOPIC),
            time=events.now(),
            state=self.state,
            reason=self.reason,
            model=self.model.name,
            keywords=list(self.model.keywords),
            source=self.source,
            stream=self.stream,
            uptime_s=round(now_s - self._started_s, 3),
            windows=self.windows,
            events=self.events.total(),
            gaps=self.gaps,
            events_by_keyword=dict(self.events),
            silent_s=self.silent_s,
            dropped_blocks=self._capture.dropped,
            queued_blocks=self._capture.queued,
            reconnects=self._capture.reconnects,
            overruns=self._publisher.overruns,
            inference_ms=self._quantiles(),
            thresholds=self.model.detector.thresholds,
            cpu_s=round(time.process_time(), 3),
            clips_folder=self._keeper.folder,
            clips_written=self._keeper.written,
            clips_lost=self._keeper.lost,
        )
        self._publisher.publish(status)
        return status

    def processed(self, windows: int, seconds: float) -> None:
        """Count windows, and the seconds that it took to process them."""
        if windows:
            self.windows += windows
            self._processing_ms.append(1000 * seconds / windows)

    def publish_keyword(self, detection: Detection, arrived_s: float) -> None:
        """Publish a detection.

        Parameters
        ----------
        detection : Detection
        arrived_s : float
            ``time.monotonic()`` when the audio that decided had arrived.
        """
        sequence = self._publisher.next_sequence(events.KEYWORD_TOPIC + detection.keyword)
        event = KeywordEvent(
            id=f"{self._publisher.run}-{detection.keyword}-{sequence}",
            run=self._publisher.run,
            seq=sequence,
            time=events.now(),
            keyword=detection.keyword,
            score=detection.score,
            sample=detection.sample,
            window=SampleRange(*detection.window),
            model=self.model.name,
            source=self.source,
            stream=self.stream,
            latency_ms=round(1000 * (time.monotonic() - arrived_s), 3),
        )
        self._publisher.publish(event)
        self.events[detection.keyword] += 1
        log.info("%s", self.named(f"{detection.keyword} (score {detection.score:.2f})"))

    def publish_monitor(self, samples: Float32, spotter: Spotter) -> None:
        """Publish what was just heard, in outline: `samples`, shape (n,), and what the spotter makes of them."""
        self._publisher.publish(
            MonitorEvent(
                run=self._publisher.run,
                seq=self._publisher.next_sequence(events.MONITOR_TOPIC),
                stream=self.stream,
                sample=spotter.sample,
                level_db=round(mean_db(samples), 1),
                peak_db=round(peak_db(samples), 1),
                scores={word: round(score, 3) for word, score in spotter.scores.items()},
                bands_db=bands_db(spotter.latest),
            )
        )

    def _quantiles(self) -> Quantiles | None:
        if not self._processing_ms:
            return None
        ordered = sorted(self._processing_ms)
        p50, p99 = (round(ordered[int(share * len(ordered))], 3) for share in (0.5, 0.99))
        return Quantiles(p50, p99)
