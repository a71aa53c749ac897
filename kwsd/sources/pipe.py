"""Raw samples on standard input as a source, for ``arecord … | kwsd run --device -``."""

import sys
from collections.abc import Iterator

import numpy as np

from kwsd.errors import AudioDataError
from kwsd.sources import BLOCK_SAMPLES, Block

SAMPLE_BYTES = 2
FULL_SCALE = 32768


class PipeSource:
    """Signed 16-bit little-endian samples, 16 kHz mono, on standard input."""

    name = "stdin"
    live = False

    def __init__(self) -> None:
        self._closed = False

    def blocks(self) -> Iterator[Block]:
        """Blocks until the pipe ends; see `kwsd.sources.Source.blocks`."""
        while not self._closed and (data := sys.stdin.buffer.read(BLOCK_SAMPLES * SAMPLE_BYTES)):
            whole = len(data) // SAMPLE_BYTES
            samples = np.frombuffer(data, "<i2", whole)
            yield Block(samples.astype(np.float32) / np.float32(FULL_SCALE))
            if len(data) % SAMPLE_BYTES:
                raise AudioDataError("standard input ended inside a sample: it must be signed 16-bit, 16 kHz, mono")

    def close(self) -> None:
        """Stop after the block in progress."""
        self._closed = True
