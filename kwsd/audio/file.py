"""A sound file as a source: WAV, FLAC, Ogg, MP3 and others."""

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kwsd.audio.bytesource import ByteSource
from kwsd.audio.reader import SoundReader, printable
from kwsd.audio.source import Block
from kwsd.frontend import SAMPLE_RATE


class FileSource:
    """A sound file of any format, or a FIFO or pipe that delivers one.

    Parameters
    ----------
    paced : bool
        Whether blocks come in real time, or as fast as they are taken.

    Raises
    ------
    AudioDataError
        The file cannot be read, or it contains no audio. Of a pipe, `blocks` raises these errors.
    """

    live = False
    batch = 1

    def __init__(self, path: str | Path, *, paced: bool) -> None:
        # Events are UTF-8, but the name of a file need not be.
        name = printable(path)
        self.name = f"file:{name}"
        self._paced = paced
        self._closed = False
        source = ByteSource.open(path, name, stopped=lambda: self._closed)
        self._blocks = SoundReader(source).blocks()
        if source.regular:
            self._blocks = chain([next(self._blocks)], self._blocks)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of the file; see `kwsd.audio.source.Source.blocks`."""
        started, sent = time.monotonic(), 0
        for samples in self._blocks:
            sent += len(samples)
            if self._paced:
                time.sleep(max(0, started + sent / SAMPLE_RATE - time.monotonic()))
            if self._closed:
                return
            yield Block(samples)

    def close(self) -> None:
        """Stop reading."""
        self._closed = True
