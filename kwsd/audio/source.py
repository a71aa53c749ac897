"""Defines the interface of all audio sources: microphone, sound file, and raw samples on standard input."""

import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from kwsd.frontend import Float32

BLOCK_SAMPLES = 1280
"""Number of samples in a block, which is one hop of the bundled models (80 ms). Because a block is one hop, each block
completes a window when it arrives."""

MAX_BATCH = 4
"""Maximum number of blocks that a live source merges into one block while detections are impossible. Merging a block
avoids the wake-ups of two threads; see docs/decisions/."""

STALL_S = 0.5
"""If a wait takes this many seconds longer than expected, the process or the machine was stopped during the wait."""

FILE_PREFIX = "file:"
"""Prefix of the path of a sound file in the value of the option ``--device``."""

CARD_MARK = "(hw:"
"""Text that PortAudio writes before the number of a sound card in the name of a device. The number of a sound card may
change when the card is plugged in again. The names of the devices of sound servers do not contain a card number."""


class Block(NamedTuple):
    """A block of samples that a source delivers.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
    gap : bool
        Whether audio was lost immediately before this block.
    merged : int
        Number of blocks that the source has merged into this block.
    stalled_s : float
        Seconds for which the process or the machine was stopped during the wait for this block, or 0. Only a source
        that waits with a time limit can measure this time.
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
        Name of the source, which messages and every event contain.
    live : bool
        Whether audio is lost if the audio is not fetched in time.
    batch : int
        Number of blocks that a live source merges into the next block; the capture sets this number. The device buffers
        `MAX_BATCH` blocks.
    """

    name: str
    live: bool
    batch: int

    def blocks(self) -> Iterator[Block]:
        """Yield blocks until the source ends or is closed.

        Raises
        ------
        AudioDataError
            The audio is damaged. All usable audio is yielded before the error is raised.
        AudioLostError
            The device is gone.
        """

    def close(self) -> None:
        """Make `blocks` end soon. Another thread may call this method."""


def is_live(device: str) -> bool:
    """Whether the value of the option ``--device`` names a microphone.

    The audio of a microphone is lost if the audio is not fetched in time.
    """
    return device != "-" and not device.startswith(FILE_PREFIX)


def boot_s() -> float:
    """Return the seconds since the machine started.

    Unlike ``time.monotonic()``, the returned time includes the time in which the machine slept.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
