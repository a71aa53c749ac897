"""Takes audio from a device for a command that listens for a limited time: ``kwsd tune`` and ``kwsd check``."""

import time
from collections.abc import Callable, Iterator

from kwsd.audio.capture import Arrival, Capture, End, Lost, Opened
from kwsd.errors import AudioLostError

POLL_S = 0.1
"""Interval, in seconds, at which `take_audio` checks whether it must stop; it is short enough to react quickly to
Ctrl+C."""

DELIVERY_TIMEOUT_S = 5.0
"""Maximum wait, in seconds, for audio from an open microphone. Some working devices needed up to 2.2 seconds for their
first block.
"""


def take_audio(
    capture: Capture, *, live: bool, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Opened | Arrival | Lost]:
    """Yield the items that a capture delivers until its source ends.

    Parameters
    ----------
    capture : Capture
        A capture that does not share its inbox with other captures.
    live : bool
        Whether the source is a microphone, which must deliver audio within `DELIVERY_TIMEOUT_S`.
    stopped : callable
        Function that is called before each item; if it returns True, the iteration ends.

    Raises
    ------
    AudioLostError
        The microphone is open but does not deliver audio.
    KwsdError
        The source ended with this error.
    """
    name = ""
    while not stopped():
        item = capture.next(POLL_S)
        if isinstance(item, End):
            if item.error:
                raise item.error
            return
        if item:
            name = item.name if isinstance(item, Opened) else name
            yield item
        elif live and time.monotonic() - capture.active_s > DELIVERY_TIMEOUT_S:
            raise AudioLostError(f"{name or 'the device'} is open but delivers no audio")
