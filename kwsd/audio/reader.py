"""Reads a sound file or pipe of any format as 16 kHz mono for the daemon, `kwsd scan` and training."""

import math
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kwsd.audio.bytesource import ByteSource
from kwsd.audio.compressed import REREAD_BYTES, Decoder, View, container_view, flac_view, mp3_view, ogg_flac, ogg_links
from kwsd.audio.convert import Converter
from kwsd.audio.formats import HEAD_BYTES, find_flac, find_mp3, foreign_format, is_adts, is_container, is_text
from kwsd.audio.pcm import HeaderError, OtherAudio, PcmAudio, has_chunk, read_header
from kwsd.audio.source import BLOCK_SAMPLES
from kwsd.errors import AudioDataError
from kwsd.frontend import SAMPLE_RATE, Float32

MIN_RATE = 1000
"""Lowest accepted sampling rate, in hertz. Speech cannot be recorded at a lower rate, and resampling would create many
times more samples."""

MAX_RATE = 2_000_000
"""Highest accepted sampling rate, in hertz; a header with a higher rate is damaged, because no converter supports
it."""

MAX_CHANNELS = 1024
"""Maximum number of channels, equal to the limit of libsndfile."""

REST_S = 0.1
"""Minimum length of data after the claimed end that count as audio, unless they are another part of the container."""

MP3_SHORT_S = 0.2
"""An MP3 file counts as truncated if at least this number of seconds of the claimed length is missing. Decoders remove
up to 0.1 s of the claimed length, because the encoder added this padding."""


class Segment(NamedTuple):
    """A part of a sound file that has its own header.

    Parameters
    ----------
    frames : iterator of ndarray, shape (n, channels), float32
        The audio of the segment as floats; full scale is 1.
    """

    rate: int
    channels: int
    frames: Iterator[Float32]


class SoundReader:
    """Reads a sound file or pipe once, from its start to its true end.

    Parameters
    ----------
    source : ByteSource
        Source of the bytes; the reader closes the source at the end.

    Attributes
    ----------
    rate, channels : int
        Sampling rate and number of channels of the first segment; 0 until the first block has been read.
    """

    def __init__(self, source: ByteSource) -> None:
        self.rate = 0
        self.channels = 0
        self._source = source
        self._damage = ""
        self._used = 0

    @property
    def name(self) -> str:
        """Name of the file in error messages."""
        return self._source.name

    def blocks(self) -> Iterator[Float32]:
        """Yield the audio as 16 kHz mono float32, in blocks of about 80 ms.

        Raises
        ------
        AudioDataError
            The file is damaged or cannot be used. All usable audio is yielded before the error is raised.
        """
        try:
            for segment in self._segments():
                yield from self._convert(segment)
        finally:
            self._source.close()
        seconds = self._used / SAMPLE_RATE
        if not self._used:
            raise AudioDataError(f"{self.name} {f'is {self._damage} and ' if self._damage else ''}contains no audio")
        if self._damage:
            raise AudioDataError(f"{self.name} is {self._damage}: only its first {seconds:.2f} s could be used")

    def _convert(self, segment: Segment) -> Iterator[Float32]:
        self._check_format(segment)
        converter = Converter(segment.rate)
        for frames in segment.frames:
            yield from self._count(converter.convert(frames))
        yield from self._count(converter.convert(np.zeros((0, segment.channels), np.float32), last=True))

    def _count(self, samples: Float32) -> Iterator[Float32]:
        self._used += len(samples)
        if len(samples):
            yield samples

    def _check_format(self, segment: Segment) -> None:
        if segment.rate < MIN_RATE:
            raise AudioDataError(f"{self.name} has a rate of {segment.rate} Hz, which is too low for speech")
        if segment.rate > MAX_RATE or segment.channels > MAX_CHANNELS:
            raise AudioDataError(
                f"{self.name} claims {segment.channels} channels at {segment.rate} Hz: its header is damaged"
            )
        if not self.rate:
            self.rate, self.channels = segment.rate, segment.channels

    def _segments(self) -> Iterator[Segment]:
        """Yield the segments of the file in order.

        When a segment is yielded, the source is at the end of the previous segment.
        """
        first = True
        while first or self._has_header():
            self._skip_tags()
            try:
                yield from self._segment(first=first)
            except HeaderError as error:
                if first:
                    raise self._unreadable(str(error)) from None
                self._damage = self._damage or "damaged"
                return
            first = False

    def _has_header(self) -> bool:
        return is_container(self._source.look(0, HEAD_BYTES))

    def _skip_tags(self) -> None:
        """Skip ID3 tags before the audio.

        The size of an ID3 tag is stored in four bytes of seven bits each (id3v2.4.0-structure, 3.1).
        """
        while (head := self._source.look(0, 10))[:3] == b"ID3" and len(head) == 10:  # noqa: PLR2004
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
            self._source.skip(10 + size + (10 if head[5] & 0x10 else 0))

    def _segment(self, *, first: bool) -> Iterator[Segment]:
        source = self._source
        head = source.look(0, HEAD_BYTES)
        found = read_header(source)
        if isinstance(found, PcmAudio):
            source.skip(found.offset)
            yield Segment(found.rate, found.channels, self._pcm(found))
        elif isinstance(found, OtherAudio) and found.mp3:
            source.skip(found.offset)
            yield from self._mp3()
        elif isinstance(found, OtherAudio):
            yield from self._decoded_container(found)
        elif head[:4] == b"fLaC":
            yield from self._flac()
        elif head[:4] == b"OggS":
            yield from self._ogg()
        elif foreign := foreign_format(head):
            raise self._foreign(foreign)
        elif first:
            yield from self._unmarked()

    def _unmarked(self) -> Iterator[Segment]:
        """Yield the segments of an MP3 file, or of a format that only libsndfile recognises."""
        if not self._source.look(0, 1):
            raise self._unreadable("it is empty")
        if is_adts(self._source.look(0, HEAD_BYTES)):
            raise self._foreign("AAC")
        place = find_mp3(self._source)
        if place is not None:
            self._source.skip(place)
            yield from self._mp3()
            return
        # A pipe of an unknown format may never end.
        if not self._source.regular:
            raise self._unreadable("Format not recognised")
        yield from self._decoded_container(OtherAudio(0, 0))

    def _pcm(self, audio: PcmAudio) -> Iterator[Float32]:
        """Read the samples up to the claimed end, or beyond the claimed end if the claimed length is too small."""
        source = self._source
        block = math.ceil(BLOCK_SAMPLES * audio.rate / SAMPLE_RATE) * audio.frame_bytes
        missing = math.inf if audio.claimed is None else audio.claimed
        while True:
            data = source.take(int(min(block, missing)))
            missing -= len(data)
            if whole := len(data) // audio.frame_bytes * audio.frame_bytes:
                yield audio.decode(data[:whole])
            if not data or len(data) < min(block, missing + len(data)):
                break
            if not missing:
                if self._ends_here(audio):
                    return
                missing = math.inf
        if 0 < missing < math.inf:
            self._damage = self._damage or "truncated"

    def _ends_here(self, audio: PcmAudio) -> bool:
        """Whether the end that the header claims is the true end.

        If a recorder crashes, the file has a header with a size that is too small.
        """
        if audio.claimed and audio.claimed % 2 and self._source.look(0, 1) == b"\0":
            self._source.skip(1)
        enough = int(REST_S * audio.rate) * audio.frame_bytes
        rest = self._source.look(0, max(enough, HEAD_BYTES))
        return len(rest) < enough or has_chunk(rest) or is_container(rest)

    def _mp3(self) -> Iterator[Segment]:
        """Yield one segment, or several if MP3 files were joined, because libmpg123 stops at the first claimed end."""
        source = self._source
        while True:
            view, claimed = mp3_view(source)
            yield from self._decoded(view, claimed, "truncated", slack_s=MP3_SHORT_S)
            if not view.catch_up():
                break
            self._skip_tags()
            place = find_mp3(source, short=False)
            if place is None:
                break
            source.skip(place)
        source.skip_rest()

    def _flac(self) -> Iterator[Segment]:
        view, claimed = flac_view(self._source)
        yield from self._decoded(view, claimed, "damaged or truncated")
        # Joined files: the next header lies near the place where the decoder stopped.
        self._source.skip(max(1, view.tell() - view.taken - REREAD_BYTES))
        place = find_flac(self._source)
        if place is None:
            self._source.skip_rest()
        else:
            self._source.skip(place)

    def _ogg(self) -> Iterator[Segment]:
        self._source = self._source.spool()
        for length, whole in ogg_links(self._source):
            if not whole:
                self._damage = self._damage or "truncated"
            try:
                flac = ogg_flac(self._source, length)
                view, claimed = flac_view(flac) if flac else (View(self._source, length), 0)
                yield from self._decoded(view, claimed, "damaged or truncated")
            except HeaderError:
                # A truncated link may have no whole page of audio.
                if whole:
                    raise
            self._source.skip(length)
        self._source.skip_rest()

    def _decoded_container(self, audio: OtherAudio) -> Iterator[Segment]:
        self._source = self._source.spool()
        left = self._source.left or 0
        yield from self._decoded(
            container_view(self._source, audio.offset, audio.claimed, audio.size_at), 0, "damaged or truncated"
        )
        if audio.claimed is not None and audio.offset + audio.claimed > left:
            self._damage = self._damage or "truncated"
        self._source.skip_rest()

    def _decoded(self, view: View, claimed: int, damage: str, *, slack_s: float = 0) -> Iterator[Segment]:
        decoder = Decoder(view)
        yield Segment(decoder.rate, decoder.channels, self._decode(decoder, claimed, damage, slack_s))

    def _decode(self, decoder: Decoder, claimed: int, damage: str, slack_s: float) -> Iterator[Float32]:
        count = 0
        for frames in decoder.frames(math.ceil(BLOCK_SAMPLES * decoder.rate / SAMPLE_RATE), claimed):
            count += len(frames)
            yield frames
        # What follows the claimed end need not be audio.
        if (decoder.failed and not claimed) or count < claimed - slack_s * decoder.rate:
            self._damage = self._damage or damage

    def _unreadable(self, reason: str) -> AudioDataError:
        head = self._source.look(0, HEAD_BYTES)
        hint = "" if is_text(head) else f"; if it contains sound, convert it with  {self._ffmpeg()}"
        return AudioDataError(f"{self.name} is not a sound file that kwsd can read: {reason}{hint}")

    def _foreign(self, kind: str) -> AudioDataError:
        return AudioDataError(f"{self.name} is {kind}, which kwsd cannot read: convert it with  {self._ffmpeg()}")

    def _ffmpeg(self) -> str:
        return (
            f"ffmpeg -i {shlex.quote(self.name)} -ar {SAMPLE_RATE} -ac 1 {shlex.quote(Path(self.name).stem + '.wav')}"
        )


def open_sound(path: str | Path, *, stopped: Callable[[], bool] = lambda: False) -> SoundReader:
    """Open a file, FIFO or pipe by its path.

    Raises
    ------
    AudioDataError
        It cannot be opened.
    """
    return SoundReader(ByteSource.open(path, printable(path), stopped=stopped))


def printable(path: str | Path) -> str:
    """Return the path as text that can be encoded, because names of files need not be UTF-8."""
    return str(path).encode(errors="replace").decode()
