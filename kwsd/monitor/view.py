"""The view: what is worth seeing of the events so far."""

from collections import deque

from kwsd.bus.events import Event, KeywordEvent, MonitorEvent, StatusEvent

COLUMNS = 400
"""Columns of the spectrogram that are kept, one a monitor event: wider than any terminal."""

KEYWORDS = 50
"""Keyword events that are kept: more than any terminal is high."""

SILENT_S = 15.0
"""Seconds without a status after which a daemon counts as gone: three times what it keeps to."""


class View:
    """Takes events of one daemon, also of one that is restarted, and keeps what is drawn of them.

    Parameters
    ----------
    stream : str
        Which of several streams; empty where the daemon has but one.

    Attributes
    ----------
    status : StatusEvent or None
        The latest.
    heard : MonitorEvent or None
        The latest, if the daemon listens.
    columns : deque of list of int
        `MonitorEvent.bands_db`, oldest first.
    keywords : deque of KeywordEvent
        Newest first.
    selected : int
        Number of the keyword whose threshold the keys change.
    cpu_percent : float or None
        Of one core, between the latest two statuses.
    thresholds : dict
        Those that were changed here, with their latest values.
    notice : str
        The latest thing that a key could not do.
    """

    def __init__(self, stream: str = "") -> None:
        self.stream = stream
        self.status: StatusEvent | None = None
        self.heard: MonitorEvent | None = None
        self.columns: deque[list[int]] = deque(maxlen=COLUMNS)
        self.keywords: deque[KeywordEvent] = deque(maxlen=KEYWORDS)
        self.selected = 0
        self.cpu_percent: float | None = None
        self.thresholds: dict[str, float] = {}
        self.notice = ""
        self._status_at_s = 0.0

    def take(self, event: Event, now_s: float) -> None:
        """Take the next event, received at the moment `now_s` of any clock."""
        if event.stream != self.stream:
            return
        if isinstance(event, MonitorEvent):
            self.heard = event
            self.columns.append(event.bands_db)
        elif isinstance(event, KeywordEvent):
            self.keywords.appendleft(event)
        else:
            self._take_status(event)
            self._status_at_s = now_s

    def gone(self, now_s: float) -> bool:
        """Whether the daemon has stopped, or has said nothing for too long."""
        return self.status is None or self.status.state == "stopping" or now_s - self._status_at_s > SILENT_S

    @property
    def words(self) -> list[str]:
        """The daemon's keywords."""
        return self.status.keywords if self.status else []

    @property
    def word(self) -> str | None:
        """The selected one."""
        return self.words[self.selected] if self.selected < len(self.words) else None

    def select(self, step: int) -> None:
        """Select another keyword, `step` further down."""
        if self.words:
            self.selected = (self.selected + step) % len(self.words)

    def _take_status(self, status: StatusEvent) -> None:
        before = self.status
        if before and before.run == status.run:
            elapsed_s = status.uptime_s - before.uptime_s
            # Two statuses in one moment, as when a key was pressed, tell nothing of the time between them.
            if elapsed_s >= 1:
                self.cpu_percent = 100 * (status.cpu_s - before.cpu_s) / elapsed_s
        else:
            self.cpu_percent = None
        if status.state != "listening":
            self.heard = None
        self.status = status
        self.selected = min(self.selected, max(0, len(status.keywords) - 1))
