"""Reports on one stream of the daemon: builds and publishes the events of the stream, and writes its log lines."""

import datetime
import logging
import time
from collections import Counter, deque

from kwsd.audio.capture import Capture
from kwsd.audio.source import boot_s
from kwsd.bus import events
from kwsd.bus.events import KeywordEvent, MonitorEvent, Quantiles, SampleRange, StatusEvent
from kwsd.bus.publisher import Publisher
from kwsd.clips.saver import ClipSaver
from kwsd.daemon.notify import Notifier
from kwsd.daemon.state import StreamState
from kwsd.frontend import Float32
from kwsd.levels import bands_db, peak_db, rms_db
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.spotter import Spotter

log = logging.getLogger(__name__)

STATUS_S = 5.0
"""Seconds from one status event to the next."""

REPEATED_LINE_S = 60.0
"""Minimum number of seconds between two log lines about a frequent fault: gaps, or the silence of a gated
microphone."""

LATE_S = 1.0
"""Minimum age of a detected word, in seconds, for which the log line contains the age, because the log adds the present
time."""

TIMED_WINDOWS = 750
"""Number of the latest processing times from which quantiles are computed. With the bundled models, these processing
times cover one minute."""


class RateLimit:
    """Limits a repeated log line to at most one in `REPEATED_LINE_S` seconds."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def allows(self) -> bool:
        """Return whether the log line may be written now. If the result is True, the next line has to wait."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + REPEATED_LINE_S
        return True


class Reporter:
    """Publishes the events of one stream and counts them.

    Parameters
    ----------
    publisher : Publisher
        Publisher of events, which all streams share.
    notifier : Notifier
        Reports each state of the stream to the service manager.
    state : StreamState
        State of the stream. The listener changes this state, and the reporter only reads it.
    capture, spotter, clip_saver
        Capture, spotter and clip saver of the stream. Status events contain the counts of these three objects, the
        model and the thresholds.

    Attributes
    ----------
    due_s : float
        ``time.monotonic()`` at which the next status event is due.
    windows : int
        Number of windows that have been processed so far.
    event_counts : Counter
        Maps each keyword to the number of its events that have been published so far.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the status event has a part from each of them
        self,
        publisher: Publisher,
        notifier: Notifier,
        state: StreamState,
        capture: Capture,
        spotter: Spotter,
        clip_saver: ClipSaver,
    ) -> None:
        self._publisher = publisher
        self._notifier = notifier
        self._state = state
        self._capture = capture
        self._spotter = spotter
        self._clip_saver = clip_saver
        self._started_s = time.monotonic()
        self._gap_line = RateLimit()
        self._reason_line = RateLimit()
        self._previous_state = state.state
        self._last_change_logged = False
        self._processing_ms: deque[float] = deque(maxlen=TIMED_WINDOWS)
        self.due_s = self._started_s
        self.windows = 0
        self.event_counts: Counter[str] = Counter()

    @property
    def watched(self) -> bool:
        """Whether a subscriber wants monitor events."""
        return self._publisher.has_monitor_subscribers

    def report_waiting(self) -> None:
        """Log that the stream waits for its first audio, and which model will score the audio."""
        waiting = self._state.label(f"waiting for audio from {self._state.source}")
        if self._state.state == "starting":
            self._notifier.status(waiting, self._state.stream)
        log.info("%s, model %s", waiting, self._spotter.model.name)

    def report_state(self) -> None:
        """Log a changed state of the stream, report the state to the service manager, and publish it."""
        state, reason = self._state.state, self._state.reason
        # A gated microphone enters and leaves digital silence in every pause: the log has that once a minute.
        if reason or state != self._previous_state:
            self._last_change_logged = state != self._previous_state or self._reason_line.allows()
        self._previous_state = state
        line = f"listening on {self._state.source}" if state == "listening" else state
        line = self._state.label(f"{line}: {reason}" if reason else line)
        level = logging.WARNING if reason else logging.INFO
        log.log(level if self._last_change_logged else logging.DEBUG, "%s", line)
        self._notifier.status(line, self._state.stream)
        self.publish_status()

    def report_gap(self) -> None:
        """Log that audio was lost, and publish the status.

        The method logs and publishes at most once in `REPEATED_LINE_S`.
        """
        if self._gap_line.allows():
            line = f"audio was lost: the window begins again on {self._state.source} (gap {self._state.gaps})"
            log.warning("%s", self._state.label(line))
            self.publish_status()

    def publish_status(self) -> StatusEvent:
        """Publish a status event for this stream, and return the event."""
        now_s = time.monotonic()
        self.due_s = now_s + STATUS_S
        model = self._spotter.model
        status = StatusEvent(
            run=self._publisher.run,
            seq=self._publisher.next_sequence(events.STATUS_TOPIC),
            time=events.utc_now(),
            state=self._state.state,
            reason=self._state.reason,
            model=model.name,
            keywords=list(model.keywords),
            source=self._state.source,
            stream=self._state.stream,
            uptime_s=round(now_s - self._started_s, 3),
            windows=self.windows,
            events=self.event_counts.total(),
            gaps=self._state.gaps,
            events_by_keyword=dict(self.event_counts),
            silent_s=self._state.silent_s,
            dropped_blocks=self._capture.dropped,
            queued_blocks=self._capture.queued,
            reconnects=self._capture.reconnects,
            overruns=self._publisher.overruns,
            inference_ms=self._quantiles(),
            thresholds=self._spotter.thresholds,
            cpu_s=round(time.process_time(), 3),
            clips_folder=self._clip_saver.folder,
            clips_written=self._clip_saver.written,
            clips_lost=self._clip_saver.lost,
        )
        self._publisher.publish(status)
        return status

    def count_windows(self, windows: int, seconds: float) -> None:
        """Add to the number of processed windows and to the seconds that the processing has taken."""
        if windows:
            self.windows += windows
            self._processing_ms.append(1000 * seconds / windows)

    def publish_keyword(self, detection: Detection, recorded_s: float) -> None:
        """Publish a keyword event for a detection.

        Parameters
        ----------
        recorded_s : float
            Time at which the last sample of the window was recorded, on the clock of `kwsd.audio.source.boot_s`.
        """
        # The wall clock may be set between the recording and now, so only its present time counts.
        age_s = max(0.0, boot_s() - recorded_s)
        sequence = self._publisher.next_sequence(events.KEYWORD_TOPIC + detection.keyword)
        event = KeywordEvent(
            id=f"{self._publisher.run}-{detection.keyword}-{sequence}",
            run=self._publisher.run,
            seq=sequence,
            time=events.utc_now() - datetime.timedelta(seconds=age_s),
            keyword=detection.keyword,
            score=detection.score,
            sample=detection.sample,
            window=SampleRange(*detection.window),
            model=self._spotter.model.name,
            source=self._state.source,
            stream=self._state.stream,
            latency_ms=round(1000 * age_s, 3),
        )
        self._publisher.publish(event)
        self.event_counts[detection.keyword] += 1
        late = f", spoken {age_s:.0f} s ago" if age_s >= LATE_S else ""
        log.info("%s", self._state.label(f"{detection.keyword} (score {detection.score:.2f}{late})"))

    def publish_monitor(self, samples: Float32) -> None:
        """Publish the level, the spectrum and the scores of the newest samples, whose shape is (n,)."""
        self._publisher.publish(
            MonitorEvent(
                run=self._publisher.run,
                seq=self._publisher.next_sequence(events.MONITOR_TOPIC),
                stream=self._state.stream,
                sample=self._spotter.sample,
                level_db=round(rms_db(samples), 1),
                peak_db=round(peak_db(samples), 1),
                scores={word: round(score, 3) for word, score in self._spotter.scores.items()},
                bands_db=bands_db(self._spotter.latest),
            )
        )

    def _quantiles(self) -> Quantiles | None:
        if not self._processing_ms:
            return None
        ordered = sorted(self._processing_ms)
        p50, p99 = (round(ordered[int(share * len(ordered))], 3) for share in (0.5, 0.99))
        return Quantiles(p50, p99)
