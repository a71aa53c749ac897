"""A sound file as a source: WAV, FLAC and whatever else libsndfile reads."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from kwsd.errors import AudioDataError
from kwsd.frontend import SAMPLE_RATE
from kwsd.sources import BLOCK_SAMPLES, Block
from kwsd.sources.convert import Converter


class FileSource:
    """A sound file of any rate, width and number of channels.

    Parameters
    ----------
    path : str or Path
    paced : bool
        Whether blocks come at the pace of real time, or as fast as they are taken.

    Raises
    ------
    AudioDataError
        The file cannot be read or holds no audio.
    """

    live = False

    def __init__(self, path: str | Path, *, paced: bool) -> None:
        self.name = f"file:{path}"
        self._paced = paced
        self._closed = False
        # Opened by hand first: libsndfile says only "System error" where the system says what is wrong.
        try:
            self._handle = Path(path).open("rb")  # noqa: SIM115  open as long as the source
        except OSError as error:
            raise AudioDataError(f"cannot read {path}: {error.strerror}") from None
        try:
            self._file = soundfile.SoundFile(self._handle)
        except (soundfile.LibsndfileError, TypeError) as error:
            self._handle.close()
            reason = str(getattr(error, "error_string", error)).rstrip(".")
            raise AudioDataError(f"{path} is not a sound file that can be read: {reason}") from None
        if not self._file.frames:
            self.close()
            raise AudioDataError(f"{path} holds no audio")

    def blocks(self) -> Iterator[Block]:
        """Blocks of the file from its start; see `kwsd.sources.Source.blocks`."""
        converter = Converter(self._file.samplerate)
        started, sent, read = time.monotonic(), 0, 0
        for frames in self._file.blocks(self._block_frames(), dtype="float32", always_2d=True):
            read += len(frames)
            block = Block(converter.convert(frames, last=read >= self._file.frames))
            sent += len(block.samples)
            if self._paced:
                time.sleep(max(0, started + sent / SAMPLE_RATE - time.monotonic()))
            if self._closed:
                return
            yield block
        self._check_complete(read)

    def close(self) -> None:
        """Stop reading."""
        self._closed = True

    def _block_frames(self) -> int:
        return int(np.ceil(BLOCK_SAMPLES * self._file.samplerate / SAMPLE_RATE))

    def _check_complete(self, read: int) -> None:
        # libsndfile shortens a truncated WAV without a word; only its log tells ("should be").
        if read < self._file.frames or "should be" in self._file.extra_info:
            seconds = read / self._file.samplerate
            raise AudioDataError(
                f"{self.name.removeprefix('file:')} is truncated: only the {seconds:.2f} s that are there were used"
            )
