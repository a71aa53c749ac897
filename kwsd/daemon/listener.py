"""Listens to one audio stream of the daemon: receives blocks of audio, and publishes events."""

import logging
import math
import time

import numpy as np

from kwsd.audio.capture import Arrival, Capture, End, Item, Lost, Opened
from kwsd.audio.silence import Silence
from kwsd.audio.source import BLOCK_SAMPLES, MAX_BATCH, boot_s
from kwsd.bus.events import State, StatusEvent
from kwsd.clips.saver import ClipSaver
from kwsd.daemon.reporter import Reporter
from kwsd.daemon.state import StreamState
from kwsd.errors import KwsdError
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.models.model import Model
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.spotter import FLUSH_SAMPLES, Spotter

log = logging.getLogger(__name__)

DEAF_S = 2.5
"""Seconds after which a live audio source counts as lost if no block of audio arrives."""

STUCK_S = 15.0
"""Seconds after which a capture thread counts as hanging if it sends neither audio nor another message. A thread that
hangs in a device driver cannot be ended, so the daemon needs a new process."""


class Listener:
    """Runs the pipeline on the audio blocks of one stream, and owns the state of this stream.

    Parameters
    ----------
    state : StreamState
    capture : Capture
        Reads the audio source in a separate thread.
    spotter : Spotter
    reporter : Reporter
        Publishes the detections and the state of the stream.
    clip_saver : ClipSaver
        Saves clips, if the user has enabled them.
    live : bool
        Whether the source is a microphone. From a microphone, missing audio blocks are a fault.
    """

    def __init__(  # noqa: PLR0913  the parts of a stream
        self,
        state: StreamState,
        capture: Capture,
        spotter: Spotter,
        reporter: Reporter,
        clip_saver: ClipSaver,
        *,
        live: bool,
    ) -> None:
        self._state = state
        self._capture = capture
        self._spotter = spotter
        self._reporter = reporter
        self._clip_saver = clip_saver
        self._live = live
        self._silence = Silence()
        self._muted = False
        self._recorded_s = boot_s()

    @property
    def source(self) -> str:
        """Name of the open device. Until a device is open, this is the device name from the configuration."""
        return self._state.source

    @property
    def hears(self) -> bool:
        """Whether the source delivers audio, according to the latest information of the daemon."""
        return self._state.hears

    @property
    def due_s(self) -> float:
        """``time.monotonic()`` at which the daemon must look at this stream again.

        At this time a status event is due, or a live source without a new block counts as lost.
        """
        deaf_s = self._capture.active_s + DEAF_S if self._live else math.inf
        return min(deaf_s, self._reporter.due_s)

    @property
    def windows(self) -> int:
        """Number of windows that the listener has processed so far."""
        return self._reporter.windows

    @property
    def event_count(self) -> int:
        """Number of keyword events that this stream has published so far."""
        return self._reporter.event_counts.total()

    def start(self) -> None:
        """Log that the stream waits for its first audio."""
        self._reporter.report_waiting()

    def take(self, item: Item) -> None:
        """Process the next item that the capture thread has delivered."""
        if isinstance(item, Arrival):
            self._capture.block_taken(item.block)
            self._process(item)
        elif isinstance(item, Opened):
            self._state.source = item.name
        elif isinstance(item, Lost):
            self._enter("lost", item.reason)
        else:
            self._finish()

    def name_error(self, error: Exception) -> Exception:
        """Add the name of this stream to the message of a kwsd error.

        Errors that are not kwsd errors are returned unchanged.
        """
        return type(error)(self._state.label(str(error))) if isinstance(error, KwsdError) else error

    def end_beside_others(self, end: End) -> None:
        """Log that this stream has ended while other streams continue."""
        if end.error:
            log.error("%s", self.name_error(end.error))
            self._enter("lost", str(end.error))
        else:
            self._enter("stopping", "its audio has ended")

    def report_stalled_capture(self, now_s: float) -> bool:
        """Change the state to `lost` if a live source delivers no audio. Return whether the capture thread hangs.

        The state is `lost` after `DEAF_S` without audio. The capture thread counts as hanging after `STUCK_S` without a
        message.

        Parameters
        ----------
        now_s : float
            ``time.monotonic()``.
        """
        if not self._live:
            return False
        stalled_s = now_s - self._capture.active_s
        if stalled_s > DEAF_S and self._state.state != "lost":
            self._enter("lost", f"{self._state.source} delivers no audio")
        return stalled_s > STUCK_S

    def publish_status(self) -> StatusEvent:
        """Publish a status event for this stream, and return the event."""
        return self._reporter.publish_status()

    def publish_due_status(self, now_s: float, *, asked: bool) -> None:
        """Publish the status of a running stream if a status event is due or if a new subscriber has requested it."""
        if self._state.state != "stopping" and (asked or now_s >= self._reporter.due_s):
            self._reporter.publish_status()

    def mute(self, *, on: bool) -> None:
        """Mute or unmute this stream. A muted stream discards its audio without processing."""
        self._muted = on
        self._clip_saver.reset()
        if self._state.hears:
            self._enter("muted" if on else "listening", self._silence.reason)

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords; see `kwsd.pipeline.spotter.Spotter.set_thresholds`."""
        self._spotter.set_thresholds(thresholds)

    def use_model(self, model: Model) -> None:
        """Replace the model of this stream. The window then starts empty."""
        self._spotter.use(model)
        self._clip_saver.reset()

    def stop(self) -> None:
        """Ask the capture thread to stop, without waiting until it has ended."""
        self._capture.stop()

    def close(self) -> None:
        """Stop the capture thread, write the remaining clips, and publish the final status event."""
        self._capture.close()
        self._clip_saver.close()
        if self._state.state != "stopping":
            self._enter("stopping")

    def _enter(self, state: State, reason: str = "") -> None:
        if self._state.enter(state, reason):
            self._reporter.report_state()

    def _process(self, arrival: Arrival) -> None:
        samples, gap = arrival.block.samples, arrival.block.gap
        self._recorded_s = arrival.recorded_s
        # A stream that was `lost` before its first audio has lost nothing.
        if gap or (self._state.state == "lost" and self._spotter.sample):
            self._begin_again()
        silent_before_s = self._silence.seconds
        self._silence.feed(samples)
        self._state.silent_s = self._silence.seconds
        self._enter("muted" if self._muted else "listening", self._silence.reason)
        attentive = self._reporter.watched or self._clip_saver.on
        # A muted source delivers zeros for hours. Windows that hold only zeros contain no keyword.
        only_zeros = self._silence.seconds > silent_before_s >= self._spotter.memory_s
        if self._muted:
            # No batch is allowed here. Audio that arrived while muted must not be processed after `unmute`.
            self._spotter.skip(samples)
        elif only_zeros and not attentive:
            self._spotter.skip(samples)
            self._capture.allow_batch(MAX_BATCH * BLOCK_SAMPLES)
        else:
            self._spot(samples, attentive=attentive)

    def _begin_again(self) -> None:
        """Discard the audio before a gap, so that the audio before and after the gap is never joined."""
        self._state.gaps += 1
        self._reporter.report_gap()
        self._spotter.reset()
        self._clip_saver.reset()
        self._silence.reset()

    def _spot(self, samples: Float32, *, attentive: bool) -> None:
        windows, started_s = self._spotter.windows, time.perf_counter()
        self._spotter.attentive = attentive
        detections = self._spotter.feed(samples)
        self._capture.allow_batch(self._spotter.calm_samples)
        self._reporter.count_windows(self._spotter.windows - windows, time.perf_counter() - started_s)
        self._publish_keywords(detections, self._spotter.sample)
        self._clip_saver.feed(samples, self._spotter, detections)
        if self._reporter.watched and self._spotter.windows > windows:
            self._reporter.publish_monitor(samples)

    def _publish_keywords(self, detections: list[Detection], received: int) -> None:
        """Publish an event for each detection, when `received` samples of the stream have arrived."""
        for detection in detections:
            after_s = (received - detection.sample) / SAMPLE_RATE
            self._reporter.publish_keyword(detection, self._recorded_s - after_s)

    def _finish(self) -> None:
        """Complete the detections in the last second of audio when a file or pipe has ended."""
        if self._live or self._muted:
            return
        received = self._spotter.sample
        detections = self._spotter.flush()
        self._publish_keywords(detections, received)
        self._clip_saver.feed(np.zeros(FLUSH_SAMPLES, np.float32), self._spotter, detections)
