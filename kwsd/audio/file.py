"""An audio source that reads a sound file: WAV, FLAC, Ogg, MP3 and others."""

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from kwsd.audio.bytesource import ByteSource
from kwsd.audio.reader import SoundReader, printable
from kwsd.audio.source import Block
from kwsd.frontend import SAMPLE_RATE


class FileSource:
    """A sound file of any supported format, or a FIFO or pipe that delivers a sound file.

    Parameters
    ----------
    paced : bool
        Whether blocks are delivered in real time; if False, they are delivered as fast as the caller takes them.

    Raises
    ------
    AudioDataError
        The file cannot be read, or it does not contain audio. If the source is a pipe, `blocks` raises these errors
        instead of the constructor.
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
