"""Listens to one stream of the daemon: from the blocks of its source to its events."""

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
"""Seconds without a block after which a live source counts as lost."""

STUCK_S = 15.0
"""Seconds without a sign of life from the capture thread. The thread then hangs in the device, and only a new process
can help."""


class Listener:
    """Runs the pipeline on the blocks of one stream, and owns the state of that stream.

    Parameters
    ----------
    state : StreamState
    capture : Capture
        Reads the source in its own thread.
    spotter : Spotter
    reporter : Reporter
        Publishes what the listener finds.
    clip_saver : ClipSaver
        Saves clips, if the user wants them.
    live : bool
        Whether the source is a microphone: then silence from the capture thread is a fault.
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
        """Name of the open device; before that, the device as configured."""
        return self._state.source

    @property
    def hears(self) -> bool:
        """Whether the source delivers audio, as far as the daemon knows."""
        return self._state.hears

    @property
    def due_s(self) -> float:
        """``time.monotonic()`` at which the daemon must look at this stream again.

        By then either a status event is due, or a live source without a new block counts as lost.
        """
        deaf_s = self._capture.active_s + DEAF_S if self._live else math.inf
        return min(deaf_s, self._reporter.due_s)

    @property
    def windows(self) -> int:
        """Windows processed so far."""
        return self._reporter.windows

    @property
    def event_count(self) -> int:
        """Keyword events published so far."""
        return self._reporter.event_counts.total()

    def start(self) -> None:
        """Log what the stream waits for."""
        self._reporter.report_waiting()

    def take(self, item: Item) -> None:
        """Take the next item of the capture."""
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
        """Return an error of kwsd with the name of this stream in its sentence, any other error unchanged."""
        return type(error)(self._state.label(str(error))) if isinstance(error, KwsdError) else error

    def end_beside_others(self, end: End) -> None:
        """Say that this stream has ended while other streams go on."""
        if end.error:
            log.error("%s", self.name_error(end.error))
            self._enter("lost", str(end.error))
        else:
            self._enter("stopping", "its audio has ended")

    def report_stalled_capture(self, now_s: float) -> bool:
        """Enter `lost` if a live source delivers no audio, and return whether the capture thread hangs in the device.

        A source becomes `lost` after `DEAF_S`, and its capture thread counts as hanging after `STUCK_S`.

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
        """Publish the status, and return it."""
        return self._reporter.publish_status()

    def publish_due_status(self, now_s: float, *, asked: bool) -> None:
        """Publish the status of a running stream if it is due, or if a new subscriber has asked for it."""
        if self._state.state != "stopping" and (asked or now_s >= self._reporter.due_s):
            self._reporter.publish_status()

    def mute(self, *, on: bool) -> None:
        """Discard the audio without processing it, or process it again."""
        self._muted = on
        self._clip_saver.reset()
        if self._state.hears:
            self._enter("muted" if on else "listening", self._silence.reason)

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords; see `kwsd.pipeline.spotter.Spotter.set_thresholds`."""
        self._spotter.set_thresholds(thresholds)

    def use_model(self, model: Model) -> None:
        """Replace the model. The window starts empty."""
        self._spotter.use(model)
        self._clip_saver.reset()

    def stop(self) -> None:
        """Stop the capture soon, without waiting for it."""
        self._capture.stop()

    def close(self) -> None:
        """Stop the capture, write the last clips, and publish the last status."""
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
        """Forget the audio before a gap, so that it is never joined to the audio after the gap."""
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
        """Publish detections. The last sample of the latest block was sample number `received` of the stream."""
        for detection in detections:
            after_s = (received - detection.sample) / SAMPLE_RATE
            self._reporter.publish_keyword(detection, self._recorded_s - after_s)

    def _finish(self) -> None:
        """Decide on the audio that is still in the window when a file or pipe has ended."""
        if self._live or self._muted:
            return
        received = self._spotter.sample
        detections = self._spotter.flush()
        self._publish_keywords(detections, received)
        self._clip_saver.feed(np.zeros(FLUSH_SAMPLES, np.float32), self._spotter, detections)
