"""An audio source that reads standard input, as in ``arecord … | kwsd run --device -``."""

import sys
from collections.abc import Iterator

import numpy as np

from kwsd.audio.bytesource import ByteSource
from kwsd.audio.formats import HEAD_BYTES, foreign_format, is_container, starts_with_mp3
from kwsd.audio.source import BLOCK_SAMPLES, Block
from kwsd.errors import AudioDataError

SAMPLE_BYTES = 2
FULL_SCALE = 32768


class PipeSource:
    """Standard input with raw samples (signed 16 bit, little-endian, 16 kHz, mono) or a sound file with a header.

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
        self._closed = False
        self._source = ByteSource(sys.stdin.fileno(), "standard input", owned=False, stopped=lambda: self._closed)

    def blocks(self) -> Iterator[Block]:
        """Yield blocks until the pipe ends; see `kwsd.audio.source.Source.blocks`."""
        head = self._source.look(0, HEAD_BYTES)
        if foreign := foreign_format(head):
            raise AudioDataError(
                f"standard input is {foreign}, which kwsd cannot read: convert it with  "
                "ffmpeg -i - -f s16le -ar 16000 -ac 1 -"
            )
        if is_container(head) or starts_with_mp3(self._source):
            yield from self._file()
        else:
            yield from self._samples()

    def close(self) -> None:
        """Make `blocks` end after the current block."""
        self._closed = True

    def _file(self) -> Iterator[Block]:
        # Imported on demand: samples do not need libsndfile.
        from kwsd.audio.reader import SoundReader  # noqa: PLC0415

        for samples in SoundReader(self._source).blocks():
            if self._closed:
                return
            yield Block(samples, stalled_s=self._source.take_stall())

    def _samples(self) -> Iterator[Block]:
        rest, empty = b"", True
        while not self._closed and (data := self._source.take_available(BLOCK_SAMPLES * SAMPLE_BYTES)):
            rest, empty = rest + data, False
            samples = np.frombuffer(rest, "<i2", len(rest) // SAMPLE_BYTES)
            rest = rest[samples.nbytes :]
            yield Block(samples.astype(np.float32) / np.float32(FULL_SCALE), stalled_s=self._source.take_stall())
        if self._closed:
            return
        if empty:
            raise AudioDataError("standard input contains no audio")
        if rest:
            raise AudioDataError("standard input ended inside a sample: it must be signed 16-bit, 16 kHz, mono")
