"""Sources of audio behind one small interface: the microphone, a file, and raw samples on standard input."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from kwsd.frontend import Float32

BLOCK_SAMPLES = 1280
"""Samples (16 kHz) in a block: one hop of the bundled models, so that a block completes a window as it arrives."""

MAX_BATCH = 4
"""Most blocks that a live source merges into one, far from any keyword. Each merged block saves the wake-ups of two
threads (docs/decisions/). In 0.3 s no word is over, and no lack of audio is suspicious."""

FILE = "file:"

CARD = "(hw:"
"""Stands before the number of a sound card in its name at PortAudio; the number may be another when it is plugged in
again. The devices of sound servers have none."""


class Block(NamedTuple):
    """Samples as they arrive.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
    gap : bool
        Whether audio was lost just before this block.
    merged : int
        Blocks that the source has merged into this one.
    """

    samples: Float32
    gap: bool = False
    merged: int = 1


class Source(Protocol):
    """Where blocks come from.

    Attributes
    ----------
    name : str
        For people and for events.
    live : bool
        Whether audio is lost if it is not fetched in time.
    batch : int
        Blocks that a live source merges into the next one; the capture sets it. The device buffers `MAX_BATCH` blocks.
    """

    name: str
    live: bool
    batch: int

    def blocks(self) -> Iterator[Block]:
        """Blocks until the source ends or is closed.

        Raises
        ------
        AudioDataError
            The audio ended otherwise than it should; all that was usable has been yielded.
        AudioLostError
            The device went away.
        """

    def close(self) -> None:
        """Stop; `blocks` ends soon, also in another thread."""


def is_live(device: str) -> bool:
    """Whether what ``--device`` names is a microphone, whose audio is lost when it is not fetched in time."""
    return device != "-" and not device.startswith(FILE)
