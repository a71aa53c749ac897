"""Raw samples on standard input as a source, as in ``arecord … | kwsd run --device -``."""

import os
import select
import sys
from collections.abc import Iterator

import numpy as np

from kwsd.audio.source import BLOCK_SAMPLES, Block
from kwsd.errors import AudioDataError

SAMPLE_BYTES = 2
FULL_SCALE = 32768
POLL_S = 0.1


class PipeSource:
    """Samples on standard input: signed 16 bit, little-endian, 16 kHz, mono.

    Raises
    ------
    AudioDataError
        Standard input is closed.
    """

    name = "stdin"
    live = False
    batch = 1

    def __init__(self) -> None:
        if sys.stdin is None:
            raise AudioDataError("standard input is closed")
        self._input = sys.stdin.fileno()
        self._closed = False

    def blocks(self) -> Iterator[Block]:
        """Yield blocks until the pipe ends; see `kwsd.audio.source.Source.blocks`."""
        rest, empty = b"", True
        for data in self._reads():
            rest, empty = rest + data, False
            samples = np.frombuffer(rest, "<i2", len(rest) // SAMPLE_BYTES)
            rest = rest[samples.nbytes :]
            yield Block(samples.astype(np.float32) / np.float32(FULL_SCALE))
        if self._closed:
            return
        if empty:
            raise AudioDataError("standard input contains no audio")
        if rest:
            raise AudioDataError("standard input ended inside a sample: it must be signed 16-bit, 16 kHz, mono")

    def close(self) -> None:
        """Make `blocks` end after the block in progress."""
        self._closed = True

    def _reads(self) -> Iterator[bytes]:
        # Not through sys.stdin: if a thread waits inside its buffer, the interpreter aborts at exit.
        while not self._closed:
            if select.select([self._input], [], [], POLL_S)[0]:
                data = os.read(self._input, BLOCK_SAMPLES * SAMPLE_BYTES)
                if not data:
                    return
                yield data
