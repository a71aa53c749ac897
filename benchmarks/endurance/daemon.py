"""The daemon under test, and a subscriber that receives its events."""

import sys
from collections.abc import Iterator
from pathlib import Path

from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent, StatusEvent, decode_event

PROGRAM = str(Path(sys.executable).with_name("kwsd"))


class Inbox:
    """Receives and checks the events of the daemon.

    Parameters
    ----------
    subscription : Subscription
        Subscription to the events of the daemon.

    Attributes
    ----------
    sequence_gaps : int
        Number of events whose sequence number does not follow the previous one of their topic.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._numbers: dict[str, int] = {}
        self._status: StatusEvent | None = None
        self.sequence_gaps = 0

    def receive(self, timeout_s: float) -> Iterator[KeywordEvent]:
        """Yield keyword events until no event arrives in time or the daemon stops."""
        while message := self._subscription.receive(timeout_s):
            event = decode_event(message.body)
            expected = self._numbers.get(message.topic, event.seq - 1) + 1
            self.sequence_gaps += event.seq != expected
            self._numbers[message.topic] = event.seq
            if isinstance(event, KeywordEvent):
                yield event
            else:
                self._status = event
                if event.state == "stopping":
                    return

    @property
    def status(self) -> StatusEvent:
        """The latest status.

        Raises
        ------
        RuntimeError
            No status has arrived yet.
        """
        if not self._status:
            raise RuntimeError("the daemon has not published a status yet")
        return self._status

    @property
    def state(self) -> str:
        """The latest state of the daemon, or an empty string before the first status."""
        return self._status.state if self._status else ""
