"""The sound gate decides in which parts of a stream something sounds, so that an embedding may skip the others."""

from collections import deque

import numpy as np

from kwsd.frontend import Float32

RISE = 2.0
"""Power relative to the background that counts as sound, 3 dB. A word as loud as the noise doubles the power."""

BACKGROUND_STEPS = 64
"""Steps over which the lowest power is the background: 5 s, so that running speech contains a pause."""

HOLD_STEPS = 12
"""Steps for which the gate stays open after the last sound: 1 s, the pause between two words of a phrase."""


class SoundGate:
    """Compares the power of each step of 80 ms with the lowest power of the last 5 s.

    The background is relative, so a quiet word in a quiet room opens the gate, and a steady noise does not.
    """

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=BACKGROUND_STEPS)
        self._open_steps = 0

    def update(self, step: Float32) -> bool:
        """Take the next samples, and return whether something sounds in them or sounded shortly before.

        Parameters
        ----------
        step : ndarray, shape (1280,), float32 in [-1, 1]
        """
        # This is the cheapest way: the gate runs in every step of a quiet room.
        power = float(np.vdot(step, step))
        self._powers.append(power)
        if power > RISE * min(self._powers):
            self._open_steps = HOLD_STEPS
        else:
            self._open_steps = max(0, self._open_steps - 1)
        return self._open_steps > 0

    def reset(self) -> None:
        """Forget the background, as after a gap."""
        self._powers.clear()
        self._open_steps = 0
