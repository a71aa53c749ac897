"""Reads the headers of WAV, RF64, W64, AIFF, AU and CAF, and converts their uncompressed samples to floats.

The library libsndfile also reads these formats. However, libsndfile needs a seekable file and does not report most
truncated files.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.bytesource import ByteSource
from kwsd.frontend import Float32

UNKNOWN_BYTES = 0x7F00_0000
"""A program that writes to a pipe cannot know the length of the audio. The header of audio from a pipe then claims at
least `UNKNOWN_BYTES` bytes. SoX writes the length 0x7F000000 for AIFF and 0x7FFFF000 for WAV, and FFmpeg writes
0xFFFFFFFF."""

MAX_CHUNKS = 1000
"""Maximum number of chunks before the audio in a container. A damaged file may consist of millions of empty chunks."""

MAX_HEADER_CHUNK = 2**16
"""Maximum size of a chunk that describes the audio. Chunks in undamaged files have less than a hundred bytes."""

Coding = Literal["signed", "unsigned", "float", "mu-law", "a-law"]

WAV_CODINGS: dict[int, Coding] = {1: "signed", 3: "float", 6: "a-law", 7: "mu-law"}
"""WAVE_FORMAT codes of mmreg.h. PCM of at most 8 bits is unsigned."""
WAV_EXTENSIBLE, WAV_MP3 = 0xFFFE, 0x55

WIDTHS: dict[Coding, tuple[int, ...]] = {
    "signed": tuple(range(1, 9)),
    "unsigned": (1,),
    "float": (4, 8),
    "mu-law": (1,),
    "a-law": (1,),
}
"""Possible numbers of bytes per sample."""

AIFF_CODINGS: dict[bytes, tuple[Coding, int, bool]] = {
    b"NONE": ("signed", 0, True),
    b"twos": ("signed", 0, True),
    b"sowt": ("signed", 0, False),
    b"raw ": ("unsigned", 0, True),
    b"in24": ("signed", 24, True),
    b"in32": ("signed", 32, True),
    b"42ni": ("signed", 24, False),
    b"23ni": ("signed", 32, False),
    b"fl32": ("float", 32, True),
    b"FL32": ("float", 32, True),
    b"fl64": ("float", 64, True),
    b"FL64": ("float", 64, True),
    b"ulaw": ("mu-law", 8, True),
    b"ULAW": ("mu-law", 8, True),
    b"alaw": ("a-law", 8, True),
    b"ALAW": ("a-law", 8, True),
}
"""Compression types of AIFF-C, with the coding, the number of bits, and whether the samples are big-endian. The value 0
means that the header contains the number of bits."""

AU_CODINGS: dict[int, tuple[Coding, int]] = {
    1: ("mu-law", 8),
    2: ("signed", 8),
    3: ("signed", 16),
    4: ("signed", 24),
    5: ("signed", 32),
    6: ("float", 32),
    7: ("float", 64),
    27: ("a-law", 8),
}
"""Encodings of an AU header, from the Sun header file audio_filehdr.h."""

W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
"""GUIDs of Sony Wave64: the complete GUID of the first chunk, and the common end of all other GUIDs."""


class HeaderError(Exception):
    """Raised when a header cannot be used.

    The message continues the sentence "X is not a sound file that kwsd can read".
    """


@dataclass(frozen=True)
class PcmAudio:
    """Position of the samples in a file, and the format in which they are stored.

    Parameters
    ----------
    offset : int
        Number of bytes from the start of the header to the samples.
    claimed : int or None
        Number of bytes of samples that the header claims; None if the header does not contain a length.
    width : int
        Bytes of a sample.
    """

    offset: int
    claimed: int | None
    rate: int
    channels: int
    coding: Coding
    width: int
    big_endian: bool

    @property
    def frame_bytes(self) -> int:
        """Number of bytes of a frame, which contains one sample of each channel."""
        return self.width * self.channels

    def decode(self, data: bytes) -> Float32:
        """Convert complete frames to floats of full scale 1, shape (n, channels)."""
        codes = np.frombuffer(data, np.uint8).reshape(-1, self.width)
        match self.coding:
            case "signed":
                samples = _decode_signed(codes, big_endian=self.big_endian)
            case "unsigned":
                samples = (codes.astype(np.float32) - np.float32(128)) / np.float32(128)
            case "float":
                samples = _decode_float(codes, big_endian=self.big_endian)
            case "mu-law":
                samples = _MU_LAW[codes]
            case "a-law":
                samples = _A_LAW[codes]
        return samples.reshape(-1, self.channels)


class OtherAudio(NamedTuple):
    """Audio in a WAV or similar container that a decoder must decompress.

    Parameters
    ----------
    offset : int
        Number of bytes from the start of the header to the audio.
    claimed : int or None
        Number of bytes of audio that the header claims; None if the header does not contain a length.
    size_at : int
        Position in the header of the 32-bit size of the audio; 0 if the header has no size field.
    mp3 : bool
        Whether the audio is an MP3 stream.
    """

    offset: int
    claimed: int | None
    size_at: int = 0
    mp3: bool = False


def read_header(source: ByteSource) -> PcmAudio | OtherAudio | None:
    """Read the header at the start of a source without consuming any bytes.

    Returns
    -------
    PcmAudio, OtherAudio or None
        The layout of the audio, or None if the source does not start with a header that this module reads.

    Raises
    ------
    HeaderError
        The header is damaged.
    """
    magic = source.look(0, 16)
    if magic[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"} and magic[8:12] == b"WAVE":
        return _read_wav(source, big_endian=magic[:4] == b"RIFX")
    if magic == W64_RIFF:
        return _read_w64(source)
    if magic[:4] == b"FORM" and magic[8:12] in {b"AIFF", b"AIFC"}:
        return _read_aiff(source)
    if magic[:4] in {b".snd", b"dns."}:
        return _read_au(source, big_endian=magic[:4] == b".snd")
    if magic[:4] == b"caff":
        return _read_caf(source)
    return None


def has_chunk(data: bytes) -> bool:
    """Whether the data after the audio is another chunk or a tag instead of more audio."""
    return data[:3] in {b"TAG", b"ID3"} or data[:8] == b"APETAGEX" or _is_chunk_name(data[:4])


def _is_chunk_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)  # noqa: PLR2004  printable ASCII


class _Chunk(NamedTuple):
    name: bytes
    start: int
    size: int


def _chunks(source: ByteSource, place: int, size_format: str) -> Iterator[_Chunk]:
    """Yield the chunks from a position on: four letters, a size, and the data, padded to an even number of bytes."""
    length = 4 + struct.calcsize(size_format)
    for _ in range(MAX_CHUNKS):
        head = source.look(place, length)
        if len(head) < length:
            return
        (size,) = struct.unpack_from(size_format, head, 4)
        yield _Chunk(head[:4], place + length, size)
        place += length + size
        if size % 2 and size_format[1] == "I":
            # Some programs forget the padding.
            after = source.look(place, 5)
            place += not (_is_chunk_name(after[:4]) and not _is_chunk_name(after[1:5]))


def _known(size: int) -> int | None:
    """Return a 32-bit size, or None if its value means an unknown length."""
    return None if size >= UNKNOWN_BYTES else size


def _read_wav(source: ByteSource, *, big_endian: bool) -> PcmAudio | OtherAudio:
    order, form, long_size = ">" if big_endian else "<", b"", None
    for chunk in _chunks(source, 12, order + "I"):
        if chunk.name == b"fmt " and not form:
            form = source.look(chunk.start, min(chunk.size, MAX_HEADER_CHUNK))
        elif chunk.name == b"ds64":
            body = source.look(chunk.start, 16)
            long_size = struct.unpack_from("<Q", body, 8)[0] if len(body) == 16 else None  # noqa: PLR2004
        elif chunk.name == b"data":
            size = long_size if long_size is not None and chunk.size == 0xFFFF_FFFF else _known(chunk.size)  # noqa: PLR2004
            return _wav_audio(form, order, chunk.start, _streamed(source, chunk.start, size))
    raise HeaderError("its header is damaged or has no audio after it")


def _streamed(source: ByteSource, start: int, size: int | None) -> int | None:
    """Return the size, or None for a zero that a program wrote before it knew the size."""
    after = source.look(start, 8)
    return None if size == 0 and after and not has_chunk(after) else size


def _wav_audio(form: bytes, order: str, start: int, claimed: int | None) -> PcmAudio | OtherAudio:
    if len(form) < 16:  # noqa: PLR2004  the size of the shortest description
        raise HeaderError("its header does not describe the audio")
    code, channels, rate, _, block, bits = struct.unpack_from(order + "HHIIHH", form)
    if code == WAV_EXTENSIBLE and len(form) >= 26:  # noqa: PLR2004  up to the code in the GUID
        (code,) = struct.unpack_from(order + "H", form, 24)
    coding = WAV_CODINGS.get(code)
    if not coding:
        return OtherAudio(start, claimed, start - 4, mp3=code == WAV_MP3)
    # The sample may be wider than its bits: 20 bits in 3 bytes. The block has the true width.
    width = block // channels if channels and block and block % channels == 0 else (bits + 7) // 8
    if coding == "signed" and width == 1:
        coding = "unsigned"
    return _checked(PcmAudio(start, claimed, rate, channels, coding, width, big_endian=order == ">"))


def _read_w64(source: ByteSource) -> PcmAudio | OtherAudio:
    place, form = 40, b""
    for _ in range(MAX_CHUNKS):
        head = source.look(place, 24)
        if len(head) < 24 or head[4:16] != W64_TAIL:  # noqa: PLR2004  a GUID and a size
            break
        # The size includes the head of the chunk. Chunks start at multiples of eight bytes.
        size = struct.unpack_from("<Q", head, 16)[0] - 24
        if head[:4] == b"fmt ":
            form = source.look(place + 24, min(max(size, 0), MAX_HEADER_CHUNK))
        elif head[:4] == b"data":
            return _wav_audio(form, "<", place + 24, None if size <= 0 or size >= 2**62 else size)
        place += (24 + max(size, 0) + 7) // 8 * 8
    raise HeaderError("its header is damaged or has no audio after it")


def _read_aiff(source: ByteSource) -> PcmAudio | OtherAudio:
    form = b""
    for chunk in _chunks(source, 12, ">I"):
        if chunk.name == b"COMM":
            form = source.look(chunk.start, min(chunk.size, MAX_HEADER_CHUNK))
        elif chunk.name == b"SSND":
            if len(form) < 18:  # noqa: PLR2004  the size of the description in AIFF
                break
            channels, _, bits = struct.unpack_from(">HIH", form)
            kind = form[18:22] or b"NONE"
            skipped = struct.unpack_from(">I", source.look(chunk.start, 4).ljust(4, b"\0"))[0]
            start = chunk.start + 8 + skipped
            size = _known(chunk.size)
            claimed = None if size is None else max(0, size - 8 - skipped)
            if kind not in AIFF_CODINGS:
                return OtherAudio(start, claimed)
            coding, own_bits, big_endian = AIFF_CODINGS[kind]
            width = ((own_bits or bits) + 7) // 8
            rate = round(_extended_float(form[8:18]))
            return _checked(
                PcmAudio(start, _streamed(source, start, claimed), rate, channels, coding, width, big_endian=big_endian)
            )
    raise HeaderError("its header is damaged or has no audio after it")


def _extended_float(data: bytes) -> float:
    """Return the value of an 80-bit float, the format in which AIFF stores the sampling rate."""
    exponent, mantissa = struct.unpack(">HQ", data)
    power = (exponent & 0x7FFF) - 16383 - 63
    return float(mantissa) * 2.0**power if abs(power) < 128 else 0.0  # noqa: PLR2004  no rate is so large


def _read_au(source: ByteSource, *, big_endian: bool) -> PcmAudio | OtherAudio:
    head = source.look(0, 24)
    if len(head) < 24:  # noqa: PLR2004  the size of the shortest header
        raise HeaderError("its header is damaged")
    offset, size, code, rate, channels = struct.unpack_from((">" if big_endian else "<") + "IIIII", head, 4)
    claimed = _streamed(source, offset, _known(size))
    if code not in AU_CODINGS:
        return OtherAudio(offset, claimed)
    coding, bits = AU_CODINGS[code]
    return _checked(PcmAudio(offset, claimed, rate, channels, coding, bits // 8, big_endian=big_endian))


def _read_caf(source: ByteSource) -> PcmAudio | OtherAudio:
    form = b""
    for chunk in _chunks(source, 8, ">q"):
        if chunk.name == b"desc":
            form = source.look(chunk.start, 32)
        elif chunk.name == b"data" and len(form) == 32:  # noqa: PLR2004  the size of the description
            rate, kind, flags, block, per_packet, channels, bits = struct.unpack(">d4sIIIII", form)
            # The samples follow a counter of four bytes. The size -1 means that they reach to the end.
            start = chunk.start + 4
            claimed = None if chunk.size < 0 else max(0, chunk.size - 4)
            claimed = _streamed(source, start, claimed)
            width = block // channels if channels else 0
            rounded = round(rate) if 0 <= rate < 2**32 else 0
            if kind in {b"ulaw", b"alaw"}:
                coding: Coding = "mu-law" if kind == b"ulaw" else "a-law"
                return _checked(PcmAudio(start, claimed, rounded, channels, coding, 1, big_endian=True))
            if kind != b"lpcm" or per_packet != 1 or width * 8 < bits:
                return OtherAudio(start, claimed)
            coding = "float" if flags & 1 else "signed"
            return _checked(PcmAudio(start, claimed, rounded, channels, coding, width, big_endian=not flags & 2))
        if chunk.size < 0:
            break
    raise HeaderError("its header is damaged or has no audio after it")


def _checked(audio: PcmAudio) -> PcmAudio:
    if not audio.channels or audio.width not in WIDTHS[audio.coding]:
        raise HeaderError(f"its header claims {audio.channels} channels and {audio.width * 8} bits")
    return audio


def _decode_signed(data: NDArray[np.uint8], *, big_endian: bool) -> Float32:
    width = data.shape[1]
    if width == 2:  # noqa: PLR2004  16 bits, the usual case
        return data.view(">i2" if big_endian else "<i2").astype(np.float32) / np.float32(2**15)
    if big_endian:
        data = data[:, ::-1]
    # The four highest bytes; a float32 cannot hold more.
    wide = np.zeros((len(data), 4), np.uint8)
    wide[:, max(0, 4 - width) :] = data[:, max(0, width - 4) :]
    return wide.view("<i4").astype(np.float32) / np.float32(2**31)


def _decode_float(data: NDArray[np.uint8], *, big_endian: bool) -> Float32:
    with np.errstate(over="ignore", invalid="ignore"):  # a double may be too large for a float
        return data.view(f"{'>' if big_endian else '<'}f{data.shape[1]}").astype(np.float32)


def _mu_law_table() -> Float32:
    """Sample values of the 256 codes of ITU-T G.711, mu-law."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = ((((code & 15).astype(np.int32) << 3) + 132) << ((code >> 4) & 7)) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.float32) / np.float32(2**15)


def _a_law_table() -> Float32:
    """Sample values of the 256 codes of ITU-T G.711, A-law."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = ((code >> 4) & 7).astype(np.int32)
    mantissa = ((code & 15).astype(np.int32) << 4) + 8
    magnitude = np.where(exponent, (mantissa + 256) << np.maximum(exponent - 1, 0), mantissa)
    return np.where(code & 128, magnitude, -magnitude).astype(np.float32) / np.float32(2**15)


_MU_LAW, _A_LAW = _mu_law_table(), _a_law_table()
