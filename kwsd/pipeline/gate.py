"""The sound gate decides in which parts of a stream something sounds, so that an embedding may skip the others."""

from collections import deque

from kwsd.frontend import Float32
from kwsd.levels import rms_db

MARGIN_DB = 3.0
"""Rise above the background that counts as sound. A word that is as loud as the noise raises the level by 3 dB."""

BACKGROUND_STEPS = 64
"""Steps over which the lowest level is the background: 5 s, so that running speech contains a pause."""

HOLD_STEPS = 12
"""Steps for which the gate stays open after the last sound: 1 s, the pause between two words of a phrase."""


class SoundGate:
    """Compares the level of each step of 80 ms with the lowest level of the last 5 s.

    The background is relative, so a quiet word in a quiet room opens the gate, and a steady noise does not.
    """

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=BACKGROUND_STEPS)
        self._open_steps = 0

    def update(self, step: Float32) -> bool:
        """Take the next samples, and return whether something sounds in them or sounded shortly before.

        Parameters
        ----------
        step : ndarray, shape (1280,), float32 in [-1, 1]
        """
        level = rms_db(step)
        self._levels.append(level)
        if level > min(self._levels) + MARGIN_DB:
            self._open_steps = HOLD_STEPS
        else:
            self._open_steps = max(0, self._open_steps - 1)
        return self._open_steps > 0

    def reset(self) -> None:
        """Forget the background, as after a gap."""
        self._levels.clear()
        self._open_steps = 0
