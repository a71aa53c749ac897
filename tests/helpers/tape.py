"""A daemon whose source is a sound file with a gap after some blocks: ``python tape.py ADDRESS FILE BLOCKS``.

Nothing is played before there is a line on standard input.
"""

import sys
from collections.abc import Iterator

import numpy as np
import soundfile

from kwsd.audio.source import BLOCK_SAMPLES, Block
from kwsd.config.schema import Config
from kwsd.daemon.loop import run_daemon


class Tape:
    """A source as `kwsd.audio.source.Source` describes it; it waits for a daemon that is slow."""

    name = "tape"
    live = False
    batch = 1

    def __init__(self, path: str, before_gap: int) -> None:
        samples, _ = soundfile.read(path, dtype="float32")
        self._blocks = np.split(samples, range(BLOCK_SAMPLES, len(samples), BLOCK_SAMPLES))
        self._before_gap = before_gap

    def blocks(self) -> Iterator[Block]:
        """All blocks; one says that audio was lost before it."""
        sys.stdin.readline()
        for number, samples in enumerate(self._blocks):
            yield Block(samples, gap=number == self._before_gap)

    def close(self) -> None:
        """Nothing is open."""


if __name__ == "__main__":
    address, path, blocks = sys.argv[1:]
    run_daemon(lambda: Config(address=address), lambda _device: lambda: Tape(path, int(blocks)))
