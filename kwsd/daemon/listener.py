"""A listener: one stream of the daemon, from its source to its events."""

import math
import time
from pathlib import Path

import msgspec
import numpy as np

from kwsd.audio.capture import Arrival, Capture, Item, Lost, Opened
from kwsd.audio.inbox import Inbox
from kwsd.audio.opening import Opener
from kwsd.audio.silence import Silence
from kwsd.audio.source import is_live
from kwsd.bus.publisher import Publisher
from kwsd.clips.keeper import Keeper
from kwsd.config.schema import Clips, Stream
from kwsd.daemon.notify import Notifier
from kwsd.daemon.reporter import Reporter
from kwsd.daemon.setup import Setup
from kwsd.models.model import Model
from kwsd.pipeline.spotter import FLUSH_SAMPLES, Spotter

DEAF_S = 2.5
"""Seconds without a block after which a live source counts as lost."""

STUCK_S = 15.0
"""Seconds without a word from the capture thread, which then hangs in the device: only a new process can help."""


class Listener:
    """Hears one stream: all state that belongs to it alone.

    Parameters
    ----------
    stream : Stream
        Its device is opened, and again whenever it is lost. One that is not there yet is waited for where a service
        manager runs the daemon: nobody is there who could start it again.
    setup : Setup
        Its model is shared with other listeners.
    publisher : Publisher
    notifier : Notifier
    inbox : Inbox
        Where its capture puts what `take` is to be given.

    Attributes
    ----------
    capture : Capture
    reporter : Reporter
    """

    def __init__(
        self,
        stream: Stream,
        setup: Setup,
        publisher: Publisher,
        notifier: Notifier,
        inbox: Inbox[tuple[Capture, Item]],
    ) -> None:
        self._live = is_live(stream.device)
        self._keeper = Keeper(_own_folder(setup.config.clips, stream))
        self.capture = Capture(Opener(stream.device), patient=self._live and notifier.managed, inbox=inbox)
        self.reporter = Reporter(publisher, setup.model, stream, self.capture, notifier, self._keeper)
        self._publisher = publisher
        self._spotter = Spotter(setup.model, attentive=self._keeper.on)
        self._silence = Silence()
        self._muted = False

    def take(self, item: Item) -> None:
        """Take the next item of the capture; at the end of the stream, decide on what is still in the window."""
        if isinstance(item, Arrival):
            self.capture.block_taken(item.block)
            self._process(item)
        elif isinstance(item, Opened):
            self.reporter.source = item.name
        elif isinstance(item, Lost):
            self.reporter.enter("lost", item.reason)
        else:
            self._finish()

    @property
    def hears(self) -> bool:
        """Whether blocks come, as far as is known."""
        return self.reporter.state in {"listening", "muted"}

    @property
    def due_s(self) -> float:
        """``time.monotonic()`` at which its state must be looked at: it is deaf then, or its status is due."""
        return min(self.capture.active_s + DEAF_S if self._live else math.inf, self.reporter.due_s)

    def stuck(self) -> bool:
        """Whether the device hangs; one that delivers nothing is said to be lost long before."""
        if not self._live:
            return False
        stalled_s = time.monotonic() - self.capture.active_s
        if stalled_s > DEAF_S and self.reporter.state != "lost":
            self.reporter.enter("lost", f"{self.reporter.source} delivers no audio")
        return stalled_s > STUCK_S

    def mute(self, *, on: bool) -> None:
        """Throw the audio away unseen, or no longer."""
        self._muted = on
        self._keeper.reset()
        if self.hears:
            self.reporter.enter("muted" if on else "listening", self._silence.reason)

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Replace the thresholds of some keywords; see `kwsd.pipeline.spotter.Spotter.set_thresholds`."""
        self._spotter.set_thresholds(thresholds)

    def use(self, model: Model) -> None:
        """Go on with another model, in a new window."""
        self.reporter.model = model
        self._spotter.use(model)
        self._keeper.reset()

    def close(self) -> None:
        """Stop, and say so."""
        self.capture.close()
        self._keeper.close()
        if self.reporter.state != "stopping":
            self.reporter.enter("stopping")

    def _process(self, arrival: Arrival) -> None:
        samples, gap, _ = arrival.block
        if gap or self.reporter.state == "lost":
            self.reporter.lose_audio()
            self._spotter.reset()
            self._keeper.reset()
            self._silence.reset()
        silent_before_s = self._silence.seconds
        self._silence.feed(samples)
        self.reporter.silent_s = self._silence.seconds
        self.reporter.enter("muted" if self._muted else "listening", self._silence.reason)
        attentive = self._publisher.watched or self._keeper.on
        # A source that is muted delivers zeros for hours: nothing can be heard in windows that hold nothing else.
        only_zeros = self._silence.seconds > silent_before_s >= self._spotter.memory_s
        self.capture.idle = only_zeros and not attentive
        if self._muted or self.capture.idle:
            self._spotter.skip(samples)
        else:
            self._spot(arrival, attentive=attentive)

    def _spot(self, arrival: Arrival, *, attentive: bool) -> None:
        windows, started_s = self._spotter.windows, time.perf_counter()
        self._spotter.attentive = attentive
        detections = self._spotter.feed(arrival.block.samples)
        self.capture.calm(self._spotter.calm_samples)
        self.reporter.processed(self._spotter.windows - windows, time.perf_counter() - started_s)
        for detection in detections:
            self.reporter.publish_keyword(detection, arrival.monotonic_s)
        self._keeper.hear(arrival.block.samples, self._spotter, detections)
        if self._publisher.watched and self._spotter.windows > windows:
            self.reporter.publish_monitor(arrival.block.samples, self._spotter)

    def _finish(self) -> None:
        if self._live or self._muted:
            return
        detections = self._spotter.flush()
        for detection in detections:
            self.reporter.publish_keyword(detection, time.monotonic())
        self._keeper.hear(np.zeros(FLUSH_SAMPLES, np.float32), self._spotter, detections)


def _own_folder(clips: Clips, stream: Stream) -> Clips:
    """Each stream with a name keeps its clips in a folder of that name."""
    folder = str(Path(clips.folder) / stream.name) if clips.folder else ""
    return msgspec.structs.replace(clips, folder=folder)
