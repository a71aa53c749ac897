"""Collects what the screen shows from the events of a daemon."""

from collections import deque

from kwsd.bus.events import Event, KeywordEvent, MonitorEvent, StatusEvent

MAX_COLUMNS = 400
"""Number of spectrogram columns to keep. Each monitor event adds one column. No terminal is that wide."""

MAX_KEYWORD_EVENTS = 50
"""Number of keyword events to keep. No terminal is that high."""

GONE_AFTER_S = 15.0
"""If no status event arrives for this many seconds, the daemon counts as gone. The daemon sends one every 5 seconds."""


class MonitorView:
    """The data on the screen, collected from the events of one daemon, which may be restarted.

    Parameters
    ----------
    stream : str
        Name of the stream to show; empty if the daemon has only one.

    Attributes
    ----------
    status : StatusEvent or None
        The latest status.
    latest : MonitorEvent or None
        The latest levels and scores; None while the daemon does not listen.
    columns : deque of list of int
        `MonitorEvent.bands_db` of the latest events, oldest first.
    keyword_events : deque of KeywordEvent
        Newest first.
    selected_index : int
        Index of the keyword whose threshold the keys change.
    cpu_percent : float or None
        CPU time between the latest two status events, in percent of one core.
    changed_thresholds : dict
        Thresholds that the user changed, by keyword.
    notice : str
        Why the latest key had no effect; empty if it had one.
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
        """Take the next event, which was received at `now_s` on a monotonic clock."""
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
        """Whether the daemon has stopped, or has sent no status for `GONE_AFTER_S`."""
        return self.status is None or self.status.state == "stopping" or now_s - self._status_at_s > GONE_AFTER_S

    @property
    def keywords(self) -> list[str]:
        """The daemon's keywords."""
        return self.status.keywords if self.status else []

    @property
    def selected_keyword(self) -> str | None:
        """The selected keyword; None if the daemon has no keywords."""
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
