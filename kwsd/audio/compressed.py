"""Decodes audio with libsndfile: FLAC, Ogg, MP3, ADPCM, GSM and rare formats."""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import soundfile

from kwsd.audio.bytesource import ByteSource
from kwsd.audio.formats import claimed_mp3_frames
from kwsd.audio.pcm import HeaderError
from kwsd.errors import AudioDataError
from kwsd.frontend import Float32

ENDLESS = 2**40
"""File size reported to libsndfile when the end of the file is unknown. If this size is reported, libsndfile reads to
the true end, and ignores the length in the header and its own estimate."""

REREAD_BYTES = 2**16
"""Number of bytes before the current position that a pipe keeps in memory. libsndfile seeks back a short distance when
it opens a file."""

MAX_FRAMES_PER_BYTE = 70_000
"""Maximum number of frames that one encoded byte can decode to. FLAC stores 65,535 equal samples in about ten bytes."""

OGG_FLAC = b"\x7fFLAC"
"""First bytes of the first packet of a FLAC stream in an Ogg file."""

FLAC_TOTAL = slice(21, 26)
"""The bytes of a FLAC file whose lowest 36 bits contain the total number of samples (RFC 9639, section 8.2)."""
FLAC_TOTAL_MASK = 2**36 - 1


class View:
    """A file object for libsndfile that contains a part of a source.

    A pipe can be read only forwards, but all bytes are kept in memory until `sequential` is set.

    Parameters
    ----------
    size : int
        Number of bytes of the part of the source, or `ENDLESS` if the number is unknown.
    replaced : dict of int to bytes
        Maps a position to the bytes that libsndfile reads there instead of the original bytes.
    """

    def __init__(self, source: ByteSource, size: int, replaced: dict[int, bytes] | None = None) -> None:
        self.sequential = False
        self.received = 0
        self.error: AudioDataError | None = None
        self._source = source
        self._size = size
        self._replaced = replaced or {}
        self._place = 0
        self.taken = 0

    def tell(self) -> int:
        """Return the position of the next byte to read."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next byte to read."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def read(self, count: int) -> bytes:
        """Read bytes; return fewer than requested only at the end."""
        start = self._place
        if start < self.taken:
            data = b""
        elif start >= ENDLESS // 2:
            # libmpg123 looks for a tag at the end, and gives up if it cannot read there.
            data = bytes(min(count, max(0, self._size - start)))
        else:
            data = self._look(start - self.taken, max(0, min(count, self._size - start)))
        self._place += len(data)
        self.received += len(data)
        if self.sequential and not self._source.regular and start < ENDLESS // 2:
            surplus = max(0, self._place - REREAD_BYTES - self.taken)
            self._source.skip(surplus)
            self.taken += surplus
        return self._replace(start, data)

    def _look(self, offset: int, count: int) -> bytes:
        # An error cannot pass through libsndfile. `Decoder` raises it afterwards.
        try:
            return self._source.look(offset, count)
        except AudioDataError as error:
            self.error = error
            return b""

    def catch_up(self) -> bool:
        """Consume the bytes that were read from the source, and return whether there were any."""
        if 0 < self._place < ENDLESS // 2:
            self._source.skip(self._place - self.taken)
            return True
        return False

    def _replace(self, start: int, data: bytes) -> bytes:
        for place, new in self._replaced.items():
            first, last = max(place, start), min(place + len(new), start + len(data))
            if first < last:
                data = data[: first - start] + new[first - place : last - place] + data[last - start :]
        return data


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # soundfile publishes no types
    """A sound file that is read once, from its start to its end.

    After each read, the soundfile library would seek to the position that the file already has. In GSM and MP3 files,
    libsndfile cannot seek exactly. Without seeks, soundfile does not limit a read to the number of frames in the
    header.
    """

    def seekable(self) -> bool:
        return False


class Decoder:
    """Decodes a part of a source with libsndfile.

    Attributes
    ----------
    rate : int
        Sampling rate, in hertz.
    failed : bool
        Whether the decoder has found an error. The value is final after all of `frames` has been read.

    Raises
    ------
    HeaderError
        libsndfile does not recognise or support the format.
    AudioDataError
        The source cannot be read.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self.failed = False
        try:
            with _signals_deferred(), _silent_c_library():
                self._file = _Sequential(view)
        except (soundfile.LibsndfileError, TypeError) as error:
            reason = str(getattr(error, "error_string", error)).rstrip(".")
            # libsndfile gives this wrong reason if it cannot guess the format.
            reason = "Format not recognised" if reason.startswith("File does not exist") else reason
            raise view.error or HeaderError(reason) from None
        view.sequential = True
        self.rate: int = self._file.samplerate
        self.channels: int = self._file.channels

    def frames(self, count: int, claimed: int) -> Iterator[Float32]:
        """Yield arrays of at most `count` frames, shape (n, channels), until the end or the first error of libsndfile.

        Parameters
        ----------
        claimed : int
            Number of frames after which the sound file may end. If a read operation fails, its frames are lost, so no
            read crosses the possible end of the file.

        Raises
        ------
        AudioDataError
            The source cannot be read.
        """
        total = 0
        # Of a chained Ogg, libsndfile returns its last buffer for ever.
        while total <= MAX_FRAMES_PER_BYTE * (self._view.received + REREAD_BYTES):
            wanted = min(count, claimed - total) if total < claimed else count
            try:
                with _signals_deferred(), _silent_c_library():
                    block = self._file.read(min(wanted, max(0, self._file.frames - total)), "float32", always_2d=True)
            except soundfile.LibsndfileError:
                self.failed = True
                break
            if not len(block):
                break
            total += len(block)
            yield block
        else:
            self.failed = True
        if self._view.error:
            raise self._view.error


def flac_view(source: ByteSource) -> tuple[View, int]:
    """Return a view of a FLAC file that claims more frames than any file has, and the originally claimed number."""
    head = int.from_bytes(source.look(0, FLAC_TOTAL.stop)[FLAC_TOTAL], "big")
    endless = (head | FLAC_TOTAL_MASK).to_bytes(5, "big")
    return View(source, _size_of(source), {FLAC_TOTAL.start: endless}), head & FLAC_TOTAL_MASK


def mp3_view(source: ByteSource) -> tuple[View, int]:
    """Return a view of an MP3 stream of unknown length, and the number of frames in its first header, or 0."""
    return View(source, ENDLESS), claimed_mp3_frames(source)


def container_view(source: ByteSource, audio: int, claimed: int | None, size_at: int) -> View:
    """Return a view of a container whose header contains the true size of the audio.

    Parameters
    ----------
    audio : int
        Position of the audio in the container.
    claimed : int or None
        Number of bytes of audio that the header claims.
    size_at : int
        Position of the audio size in the header; 0 if the header has no size field.
    """
    size = _size_of(source)
    there = max(0, size - audio)
    replaced = {}
    if size_at and (claimed is None or claimed > there):
        replaced = {
            4: min(size - 8, 2**32 - 1).to_bytes(4, "little"),
            size_at: min(there, 2**32 - 1).to_bytes(4, "little"),
        }
    return View(source, size, replaced)


def ogg_links(source: ByteSource) -> Iterator[tuple[int, bool]]:
    """Yield the length of each link of a chained Ogg file, and whether the link is complete.

    Each link of a chained Ogg file has its own headers. After each yielded item, the caller reads the bytes of the link
    from the source (RFC 3533, section 6).
    """
    while source.look(0, 4) == b"OggS":
        place, in_headers, ended = 0, True, False
        while length := _ogg_page_bytes(source, place):
            flags = source.look(place + 5, 1)[0]
            if flags & 2 and not in_headers:
                break
            in_headers = in_headers and bool(flags & 2)
            ended = bool(flags & 4)
            place += length
        else:
            # An incomplete page, or none where one must be.
            ended = ended and source.look(place, 4) != b"OggS"
        yield place, ended
        if not place:
            return


def ogg_flac(source: ByteSource, length: int) -> ByteSource | None:
    """Return the FLAC file inside an Ogg link of the given length, or None if the link does not contain FLAC.

    The first packet has 9 bytes before the FLAC header; all other packets equal those in a FLAC file (RFC 9639, 10.1).
    """
    head = source.look(0, 27 + 255)
    if not length or source.look(27 + head[26], len(OGG_FLAC)) != OGG_FLAC:
        return None
    payloads = _ogg_payloads(source, length, head[14:18])
    return source.copy(payload[0 if number else len(OGG_FLAC) + 4 :] for number, payload in enumerate(payloads))


def _ogg_payloads(source: ByteSource, length: int, serial: bytes) -> Iterator[bytes]:
    place = 0
    while place < length:
        head = source.look(place, 27 + 255)
        first, size = 27 + head[26], _ogg_page_bytes(source, place)
        if head[14:18] == serial:
            yield source.look(place + first, size - first)
        place += size


def _ogg_page_bytes(source: ByteSource, place: int) -> int:
    """Return the length of the Ogg page at a position; 0 if there is no complete page."""
    head = source.look(place, 27 + 255)
    if head[:4] != b"OggS" or len(head) < 27:  # noqa: PLR2004  the size of a head without segments
        return 0
    length = 27 + head[26] + sum(head[27 : 27 + head[26]])
    return length if source.look(place + length - 1, 1) else 0


def _size_of(source: ByteSource) -> int:
    return ENDLESS if source.left is None else source.left


@cache
def _null_stream() -> int | None:
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    stream: int | None = libc.fopen(os.fsencode(os.devnull), b"w")
    return stream


@cache
def _c_stderr() -> tuple[ctypes.c_void_p, int | None] | None:
    """Return the C library's variable ``stderr`` and its value, or None if the C library does not allow changes."""
    try:
        if not os.confstr("CS_GNU_LIBC_VERSION"):
            return None
        variable = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stderr")
    except (OSError, ValueError):  # another C library
        return None
    return variable, variable.value


@contextmanager
def _silent_c_library() -> Iterator[None]:
    """Discard the text that C libraries write to the C stream ``stderr``.

    Python does not write to the C stream ``stderr``, so kwsd loses none of its own messages. libmpg123 writes a warning
    to ``stderr`` for each unusual tag or frame, and libsndfile cannot turn these warnings off.
    """
    found = _c_stderr()
    if not found or not _null_stream():
        yield
        return
    variable, own = found
    variable.value = _null_stream()
    try:
        yield
    finally:
        variable.value = own


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Delay signals until the end of the block.

    If a signal handler raised an exception in a callback of libsndfile, the exception would be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    replaced = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in replaced:
            signal.signal(number, lambda number, _: received.append(number))
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for late in received:
            signal.raise_signal(late)
