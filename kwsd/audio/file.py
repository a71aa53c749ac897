"""A sound file as a source: WAV, FLAC and all other formats of libsndfile."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from kwsd.audio.convert import Converter
from kwsd.audio.source import BLOCK_SAMPLES, Block
from kwsd.errors import AudioDataError
from kwsd.frontend import SAMPLE_RATE, Float32

UNKNOWN_BYTES = 0x7FFF_0000
"""A program that writes a WAV to a pipe cannot know the length. The header then claims at least this many bytes."""

MIN_RATE = 1000
"""Lowest sampling rate, in hertz. A lower rate cannot hold speech, and resampling would multiply its length."""


class FileSource:
    """A sound file of any sampling rate, sample format and number of channels.

    Parameters
    ----------
    paced : bool
        Whether blocks come in real time, or as fast as they are taken.

    Raises
    ------
    AudioDataError
        The file cannot be read, or it contains no audio.
    """

    live = False
    batch = 1

    def __init__(self, path: str | Path, *, paced: bool) -> None:
        # Events are UTF-8, but the name of a file need not be.
        self.name = f"file:{path}".encode(errors="replace").decode()
        self._paced = paced
        self._closed = False
        self._read = 0
        # Python opens the file first, because libsndfile reports every reason as "System error".
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise AudioDataError(f"cannot read {path}: {error.strerror}") from None
        try:
            self._file = soundfile.SoundFile(os.fsencode(path))
        except (soundfile.LibsndfileError, TypeError) as error:
            reason = str(getattr(error, "error_string", error)).rstrip(".")
            raise AudioDataError(f"{path} is not a sound file that kwsd can read: {reason}") from None
        if self._file.samplerate < MIN_RATE:
            raise AudioDataError(f"{path} has a rate of {self._file.samplerate} Hz, which is too low for speech")
        if not self._file.frames:
            raise AudioDataError(f"{path} contains no audio")

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of the file; see `kwsd.audio.source.Source.blocks`."""
        converter = Converter(self._file.samplerate)
        started, sent = time.monotonic(), 0
        for frames in self._frames():
            block = Block(converter.convert(frames, last=self._read >= self._file.frames))
            sent += len(block.samples)
            if self._paced:
                time.sleep(max(0, started + sent / SAMPLE_RATE - time.monotonic()))
            if self._closed:
                return
            yield block
        self._check_complete()

    def close(self) -> None:
        """Stop reading."""
        self._closed = True

    def _frames(self) -> Iterator[Float32]:
        size = int(np.ceil(BLOCK_SAMPLES * self._file.samplerate / SAMPLE_RATE))
        try:
            for frames in self._file.blocks(size, dtype="float32", always_2d=True):
                self._read += len(frames)
                yield frames
        except soundfile.LibsndfileError:
            raise self._cut_short("damaged or truncated") from None

    def _check_complete(self) -> None:
        # libsndfile shortens a truncated WAV silently. Only its log has the claimed size.
        claimed = re.search(r"^data : (\d+) \(should be", self._file.extra_info, re.MULTILINE)
        if self._read < self._file.frames or (claimed and int(claimed[1]) < UNKNOWN_BYTES):
            raise self._cut_short("truncated")

    def _cut_short(self, how: str) -> AudioDataError:
        path = self.name.removeprefix("file:")
        return AudioDataError(
            f"{path} is {how}: only its first {self._read / self._file.samplerate:.2f} s could be used"
        )
