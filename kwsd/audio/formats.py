"""Recognises the format of a sound file from its first bytes."""

from kwsd.audio.bytesource import ByteSource

HEAD_BYTES = 64
"""Number of bytes at the start of a file that are read to recognise its format."""

FOREIGN: dict[tuple[int, bytes], str] = {
    (4, b"ftyp"): "MP4 or M4A",
    (0, b"\x1a\x45\xdf\xa3"): "WebM or Matroska",
    (0, b"\x30\x26\xb2\x75"): "WMA",
    (0, b"#!AMR"): "AMR",
    (0, b"MAC "): "Monkey's Audio",
    (0, b"wvpk"): "WavPack",
    (0, b"MPCK"): "Musepack",
    (0, b"TTA1"): "True Audio",
    (0, b"DSD "): "DSF",
    (0, b"FRM8"): "DSDIFF",
    (0, b"ADIF"): "AAC",
    (0, b"FLV\x01"): "FLV",
    (0, b".RMF"): "RealMedia",
    (0, b".ra\xfd"): "RealAudio",
    (8, b"AVI "): "AVI",
}
"""Sound formats that libsndfile cannot read, with the position and value of their first bytes."""

FLAC_HEAD = b"fLaC\0\0\0\x22"
"""Start of a FLAC file: the magic number, and the head of the first block (RFC 9639, section 8.1)."""

MP3_SEARCH_BYTES = 2**16
"""Number of bytes in which the first frame of an MP3 file is searched."""
MP3_LOOK_BYTES = 2**13
"""Number of bytes that contain the first frames of an MP3 stream; the longest frame has 2,881 bytes."""
MP3_CHAIN = 3
"""Number of consecutive headers by which an MP3 stream is recognised. In data of other formats, one matching header is
common, but three consecutive headers do not occur."""
MP3_RATES = (44100, 48000, 32000)
MP3_KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by version and layer (ISO/IEC 11172-3 and 13818-3, table of bitrate_index). The bit rates of layer 3 of
version 2 equal those of layer 2 of version 2."""


def is_container(head: bytes) -> bool:
    """Whether the data start with the header of a container that kwsd reads."""
    if head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}:
        return head[8:12] == b"WAVE"
    if head[:4] == b"FORM":
        return head[8:12] in {b"AIFF", b"AIFC"}
    return head.startswith((b"riff\x2e\x91\xcf\x11", b".snd\0", b"caff\0\x01", b"fLaC", b"OggS\0")) or (
        head[:3] == b"ID3" and head[3:4] < b"\x05"
    )


def foreign_format(head: bytes) -> str:
    """Return the name of the format of the data if kwsd cannot read this format; otherwise an empty string."""
    for (place, magic), kind in FOREIGN.items():
        if head[place : place + len(magic)] == magic:
            return kind
    return ""


def is_text(head: bytes) -> bool:
    """Whether the data are plain text or empty."""
    return all(32 <= byte < 127 or byte in b"\t\n\r" for byte in head)  # noqa: PLR2004  printable ASCII


def is_adts(head: bytes) -> bool:
    """Whether the data start with an AAC frame: twelve sync bits, and layer zero (ISO/IEC 13818-7, 6.2)."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0  # noqa: PLR2004


def find_mp3(source: ByteSource, *, short: bool = True) -> int | None:
    """Return the offset of the first frame of an MP3 stream near the start of a source, or None.

    Parameters
    ----------
    short : bool
        Whether fewer than `MP3_CHAIN` frames are enough if the source ends after them.
    """
    data = source.look(0, MP3_SEARCH_BYTES)
    place = data.find(b"\xff")
    while 0 <= place < len(data) - 4:
        if _is_mp3_chain(data, place, short=short and len(data) < MP3_SEARCH_BYTES):
            return place
        place = data.find(b"\xff", place + 1)
    return None


def starts_with_mp3(source: ByteSource) -> bool:
    """Whether a source starts with the frames of an MP3 stream.

    If the first header is invalid, the function returns False without reading further.
    """
    head = source.look(0, 4)
    return bool(_mp3_frame(head)) and _is_mp3_chain(source.look(0, MP3_LOOK_BYTES), 0)


def find_flac(source: ByteSource) -> int | None:
    """Return the offset of the next FLAC header near the given position of a source, or None."""
    place = source.look(0, 2 * MP3_SEARCH_BYTES).find(FLAC_HEAD, 1)
    return None if place < 0 else place


def claimed_mp3_frames(source: ByteSource) -> int:
    """Return the number of frames in the Xing header of the first MP3 frame of a source; 0 without this header."""
    head = source.look(0, 4)
    frame = _mp3_frame(head)
    if not frame:
        return 0
    _, samples, side = frame
    tag = source.look(4 + side, 12)
    if tag[:4] in {b"Xing", b"Info"} and len(tag) == 12 and tag[7] & 1:  # noqa: PLR2004
        return int.from_bytes(tag[8:12], "big") * samples
    return 0


def _mp3_frame(header: bytes) -> tuple[int, int, int] | None:
    """Return the bytes, the samples and the side-information bytes of the frame with this header; None if invalid."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:  # noqa: PLR2004
        return None
    version, layer, rate_code = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3), header[2] >> 2 & 3
    bits_code = header[2] >> 4
    if version == 1 or layer == 4 or rate_code == 3 or bits_code in {0, 15}:  # noqa: PLR2004  reserved values
        return None
    first = version == 3  # noqa: PLR2004  version 1 of MPEG has the code 3, version 2 has 2, and 2.5 has 0
    kbits = MP3_KBITS[1 if first else 2, layer if first or layer == 1 else 2][bits_code - 1]
    rate = MP3_RATES[rate_code] // (1 if first else 2 if version == 2 else 4)  # noqa: PLR2004
    samples = 384 if layer == 1 else 1152 if first or layer == 2 else 576  # noqa: PLR2004
    padding = header[2] >> 1 & 1
    mono = header[3] >> 6 == 3  # noqa: PLR2004  the code of one channel
    side = (17 if mono else 32) if first else (9 if mono else 17)
    length = (12_000 * kbits // rate + padding) * 4 if layer == 1 else samples * 125 * kbits // rate + padding
    return length, samples, side


def _is_mp3_chain(data: bytes, place: int, *, short: bool = False) -> bool:
    start = place
    for number in range(MP3_CHAIN):
        # A very short file may end before the third frame.
        if short and number and place >= len(data) - 4:
            return True
        frame = _mp3_frame(data[place : place + 4])
        # All frames of a stream have the same version, layer and rate.
        if not frame or (data[place + 1] ^ data[start + 1]) & 0xFE or (data[place + 2] ^ data[start + 2]) & 0x0C:
            return False
        place += frame[0]
    return True
