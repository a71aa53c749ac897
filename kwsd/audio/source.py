"""The interface of all audio sources: microphone, sound file, and raw samples on standard input."""

import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from kwsd.frontend import Float32

BLOCK_SAMPLES = 1280
"""Samples in a block: one hop of the bundled models, 80 ms. So each block completes a window as it arrives."""

MAX_BATCH = 4
"""Maximum number of blocks that a live source merges into one while no detection can occur. Each merged block saves the
wake-ups of two threads; see docs/decisions/."""

STALL_S = 0.5
"""A wait that takes this much longer than expected means that the process or the machine was stopped meanwhile."""

FILE_PREFIX = "file:"
"""Prefix of the path of a sound file in the option ``--device``."""

CARD_MARK = "(hw:"
"""PortAudio writes this before the number of a sound card. The number may change when the card is plugged in again. The
devices of sound servers have no such number."""


class Block(NamedTuple):
    """Samples as a source delivers them.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
    gap : bool
        Whether audio was lost just before this block.
    merged : int
        Blocks that the source has merged into this one.
    stalled_s : float
        Seconds of a wait for this block in which the process or the machine was stopped, or 0. Only a source that waits
        with a time limit can know them.
    """

    samples: Float32
    gap: bool = False
    merged: int = 1
    stalled_s: float = 0


class Source(Protocol):
    """Delivers audio in blocks.

    Attributes
    ----------
    name : str
        Shown to people, and part of every event.
    live : bool
        Whether audio is lost if it is not fetched in time.
    batch : int
        Blocks that a live source merges into the next one; the capture sets it. The device buffers `MAX_BATCH` blocks.
    """

    name: str
    live: bool
    batch: int

    def blocks(self) -> Iterator[Block]:
        """Yield blocks until the source ends or is closed.

        Raises
        ------
        AudioDataError
            The audio is damaged. All usable audio has been yielded before.
        AudioLostError
            The device is gone.
        """

    def close(self) -> None:
        """Make `blocks` end soon. Another thread may call this."""


def is_live(device: str) -> bool:
    """Return whether ``--device`` names a microphone. Its audio is lost if it is not fetched in time."""
    return device != "-" and not device.startswith(FILE_PREFIX)


def boot_s() -> float:
    """Seconds since the machine started. Unlike ``time.monotonic()``, they include the time in which it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
