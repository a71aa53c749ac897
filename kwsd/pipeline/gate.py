"""The sound gate decides which parts of a stream contain sound, so that an embedding can skip the other parts."""

from collections import deque

import numpy as np

from kwsd.frontend import Float32

RISE = 2.0
"""Minimum ratio of the power of a sound to the power of the background: 2, which is 3 dB. A word that is as loud as the
background noise doubles the power."""

BACKGROUND_STEPS = 64
"""Number of steps whose lowest power counts as the background. These steps cover 5 s, in which even continuous speech
contains a pause."""

HOLD_STEPS = 12
"""Number of steps for which the gate stays open after the last sound. These steps cover 1 s, the length of a pause
between two words of a phrase."""


class SoundGate:
    """Compares the power of each step of 80 ms with the lowest power of the last 5 s.

    Because the gate compares powers, a quiet word in a quiet room opens the gate, and a steady noise does not.
    """

    def __init__(self) -> None:
        self._powers: deque[float] = deque(maxlen=BACKGROUND_STEPS)
        self._open_steps = 0

    def update(self, step: Float32) -> bool:
        """Process the samples of the next step, and return whether they contain sound or follow shortly after a sound.

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
        """Discard the measured background, for example after a gap in the stream."""
        self._powers.clear()
        self._open_steps = 0
