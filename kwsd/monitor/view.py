"""Collects the data for the screen of ``kwsd monitor`` from the events of a daemon."""

from collections import deque

from kwsd.bus.events import Event, KeywordEvent, MonitorEvent, StatusEvent

MAX_COLUMNS = 400
"""Number of spectrogram columns to keep. Each monitor event adds one column. This number is larger than the width of
any usual terminal."""

MAX_KEYWORD_EVENTS = 50
"""Number of keyword events to keep. This number is larger than the height of any usual terminal."""

GONE_AFTER_S = 15.0
"""Number of seconds without a status event after which the daemon counts as stopped. The daemon sends a status event
every 5 seconds."""


class MonitorView:
    """The data on the screen, collected from the events of one daemon. The daemon may be restarted in between.

    Parameters
    ----------
    stream : str
        Name of the stream to show; empty if the daemon has only one stream.

    Attributes
    ----------
    status : StatusEvent or None
        Latest status event of the stream.
    latest : MonitorEvent or None
        Latest event with levels and scores; None while the daemon does not listen.
    columns : deque of list of int
        Band levels `MonitorEvent.bands_db` of the latest events, oldest first.
    keyword_events : deque of KeywordEvent
        Latest keyword events, newest first.
    selected_index : int
        Index of the selected keyword. The keys + and - change its threshold.
    cpu_percent : float or None
        CPU load of the daemon between the latest two status events, in percent of one core.
    changed_thresholds : dict
        Maps each keyword whose threshold the user has changed to the new threshold.
    notice : str
        Reason why the latest pressed key had no effect; empty if the key had an effect.
    """

    def __init__(self, stream: str = "") -> None:
        self.stream = stream
        self.status: StatusEvent | None = None
        self.latest: MonitorEvent | None = None
        self.columns: deque[list[int]] = deque(maxlen=MAX_COLUMNS)
        self.keyword_events: deque[KeywordEvent] = deque(maxlen=MAX_KEYWORD_EVENTS)
        self.selected_index = 0
        self.cpu_percent: float | None = None
        self.changed_thresholds: dict[str, float] = {}
        self.notice = ""
        self._status_at_s = 0.0

    def update(self, event: Event, now_s: float) -> None:
        """Process the next event, which was received at `now_s` on a monotonic clock."""
        if event.stream != self.stream:
            return
        if isinstance(event, MonitorEvent):
            self.latest = event
            self.columns.append(event.bands_db)
        elif isinstance(event, KeywordEvent):
            self.keyword_events.appendleft(event)
        else:
            self._update_status(event)
            self._status_at_s = now_s

    def is_gone(self, now_s: float) -> bool:
        """Whether the daemon has stopped, or has not sent a status event for `GONE_AFTER_S`."""
        return self.status is None or self.status.state == "stopping" or now_s - self._status_at_s > GONE_AFTER_S

    @property
    def keywords(self) -> list[str]:
        """Keywords of the daemon's model."""
        return self.status.keywords if self.status else []

    @property
    def selected_keyword(self) -> str | None:
        """Return the selected keyword; None if the daemon does not have keywords."""
        return self.keywords[self.selected_index] if self.selected_index < len(self.keywords) else None

    def select(self, step: int) -> None:
        """Move the selection down by `step` keywords."""
        if self.keywords:
            self.selected_index = (self.selected_index + step) % len(self.keywords)

    def _update_status(self, status: StatusEvent) -> None:
        before = self.status
        if before and before.run == status.run:
            elapsed_s = status.uptime_s - before.uptime_s
            # A pressed key causes an additional status. The time since the last one is then too short to measure.
            if elapsed_s >= 1:
                self.cpu_percent = 100 * (status.cpu_s - before.cpu_s) / elapsed_s
        else:
            self.cpu_percent = None
        if status.state != "listening":
            self.latest = None
        self.status = status
        self.selected_index = min(self.selected_index, max(0, len(status.keywords) - 1))
