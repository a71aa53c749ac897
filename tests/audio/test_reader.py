"""Sound files as other programs write them: each is read once and to its true end, or its damage is named."""

import io
import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from kwsd.audio.bytesource import ByteSource
from kwsd.audio.file import FileSource
from kwsd.audio.pipe import PipeSource
from kwsd.audio.reader import SoundReader
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.errors import AudioDataError
from kwsd.frontend import Float32

SPEECH, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32", start=16_000, frames=48_000)
SPEECH *= 0.9 / np.abs(SPEECH).max()
SECONDS = 3.0


def encoded(
    kind: str, subtype: str | None = None, samples: Float32 = SPEECH, rate: int = 16_000, **how: object
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=kind, **how)
    return file.getvalue()


WAV, FLAC = encoded("WAV", "PCM_16"), encoded("FLAC", "PCM_16")


def read(path: Path | str) -> tuple[Float32, str]:
    """The audio of a file, and the sentence about its damage."""
    blocks: list[Float32] = []
    try:
        blocks.extend(block.samples for block in FileSource(path, paced=False).blocks())
    except AudioDataError as error:
        return np.concatenate([np.zeros(0, np.float32), *blocks]), str(error)
    return np.concatenate(blocks), ""


def read_bytes(tmp_path: Path, content: bytes) -> tuple[Float32, str]:
    path = tmp_path / "sound"
    path.write_bytes(content)
    return read(path)


@contextmanager
def piped(content: bytes) -> Iterator[int]:
    """The reading end of a pipe into which a thread writes."""
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb", 0) as pipe, suppress(BrokenPipeError):
            pipe.write(content)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


def read_pipe(content: bytes) -> tuple[Float32, str]:
    with piped(content) as descriptor:
        return read(f"/dev/fd/{descriptor}")


def assert_speech(found: Float32, times: int = 1, tolerance: float = 0.3) -> None:
    """The length is right to 0.1 s, and each repetition is as loud and as shaped as the speech."""
    assert abs(len(found) - times * len(SPEECH)) <= 1600 * times
    for start in range(0, times * len(SPEECH), len(SPEECH)):
        part = found[start : start + len(SPEECH)]
        # An encoder may delay the audio a little.
        offset = int(np.argmax(np.correlate(SPEECH, part[:16_000], "valid"))) if times > 1 else 0
        assert abs(offset) <= 1600
    ratio = np.sqrt(np.mean(found**2) / np.mean(SPEECH**2))
    assert abs(ratio - 1) < tolerance


def ogg_page(flags: int, number: int, payload: bytes) -> bytes:
    """A page of a stream with the serial number 7, and a checksum that nobody looks at."""
    full, last = divmod(len(payload), 255)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, 7, number, 0, full + 1)
    return head + bytes([255] * full + [last]) + payload


def ogg_flac() -> bytes:
    """FLAC in Ogg, as RFC 9639 describes it in section 10.1."""
    pieces = [FLAC[start : start + 5000] for start in range(42, len(FLAC), 5000)]
    pages = [ogg_page(2, 0, b"\x7fFLAC\x01\0\0\1" + FLAC[:42])]
    pages += [ogg_page(4 * (piece is pieces[-1]), number, piece) for number, piece in enumerate(pieces, 1)]
    return b"".join(pages)


FORMATS = {
    "wav": WAV,
    "wav, 24 bits": encoded("WAV", "PCM_24"),
    "wav, float": encoded("WAV", "FLOAT"),
    "wav, extensible": encoded("WAVEX", "PCM_16"),
    "wav, big-endian": encoded("WAV", "PCM_16", endian="BIG"),
    "wav, a-law": encoded("WAV", "ALAW"),
    "wav, ima adpcm": encoded("WAV", "IMA_ADPCM"),
    "wav, ms adpcm": encoded("WAV", "MS_ADPCM"),
    "wav, gsm": encoded("WAV", "GSM610"),
    "rf64": encoded("RF64", "PCM_16"),
    "w64": encoded("W64", "PCM_16"),
    "aiff": encoded("AIFF", "PCM_16"),
    "aiff, float": encoded("AIFF", "FLOAT"),
    "aiff, mu-law": encoded("AIFF", "ULAW"),
    "au": encoded("AU", "PCM_16"),
    "au, mu-law": encoded("AU", "ULAW"),
    "caf": encoded("CAF", "PCM_16"),
    "caf, alac": encoded("CAF", "ALAC_16"),
    "nist": encoded("NIST", "PCM_16"),
    "flac": FLAC,
    "vorbis": encoded("OGG", "VORBIS"),
    "opus": encoded("OGG", "OPUS"),
    "flac in ogg": ogg_flac(),
    "mp3": encoded("MP3"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    found, damage = read_bytes(tmp_path, FORMATS[name])
    assert damage == ""
    assert_speech(found)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"nist"}))
def test_a_pipe_delivers_the_same_audio_as_the_file(tmp_path: Path, name: str) -> None:
    found, damage = read_pipe(FORMATS[name])
    assert damage == ""
    np.testing.assert_array_equal(found, read_bytes(tmp_path, FORMATS[name])[0])


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"nist", "mp3", "caf, alac", "vorbis", "opus"}))
def test_truncation_is_reported_and_the_rest_is_used(tmp_path: Path, name: str) -> None:
    content = FORMATS[name]
    for read_it in (lambda cut: read_bytes(tmp_path, cut), read_pipe):
        found, damage = read_it(content[: len(content) // 2])
        assert "truncated" in damage
        assert "could be used" in damage
        assert 0.5 * SECONDS * 16_000 / 2 < len(found) < 0.75 * SECONDS * 16_000


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_of_a_truncated_ogg_all_whole_pages_are_used(tmp_path: Path, subtype: str) -> None:
    content = encoded("OGG", subtype, np.tile(SPEECH, 10))
    found, damage = read_bytes(tmp_path, content[: len(content) // 2])
    assert damage.endswith(f"sound is truncated: only its first {len(found) / 16_000:.2f} s could be used")
    assert 12 * 16_000 < len(found) < 16 * 16_000
    found, damage = read_bytes(tmp_path, content + content[: len(content) // 2])
    assert "is truncated" in damage
    assert len(found) > 42 * 16_000
    _, damage = read_bytes(tmp_path, content[:2000])
    assert damage.endswith("sound is truncated and contains no audio")


def mp3_frame_bytes(header: bytes) -> int:
    """Bytes of a frame of MPEG-2 layer 3."""
    kbits = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)[(header[2] >> 4) - 1]
    rate = (22_050, 24_000, 16_000)[header[2] >> 2 & 3]
    return 72_000 * kbits // rate + (header[2] >> 1 & 1)


def variable_mp3(samples: Float32) -> bytes:
    """An MP3 of variable bit rate without the first frame, which holds the length."""
    content = encoded("MP3", samples=samples, bitrate_mode="VARIABLE", compression_level=0.3)
    first = mp3_frame_bytes(content)
    assert b"Xing" in content[:first]
    return content[first:]


def test_an_mp3_whose_length_is_guessed_wrong_is_read_once_to_its_end(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 48_000).astype(np.float32)
    hush = np.zeros(48_000, np.float32)
    for samples in (np.concatenate([noise, hush, SPEECH]), np.concatenate([hush, noise])):
        for found, damage in (read_bytes(tmp_path, variable_mp3(samples)), read_pipe(variable_mp3(samples))):
            assert damage == ""
            assert abs(len(found) - len(samples)) < 2400  # without its header the delay of the encoder stays
            assert not found[len(samples) + 2400 :].any()


@pytest.mark.parametrize("name", ["mp3", "flac", "vorbis", "opus", "flac in ogg", "wav", "aiff", "au"])
def test_joined_files_are_all_read(tmp_path: Path, name: str) -> None:
    for found, damage in (read_bytes(tmp_path, 3 * FORMATS[name]), read_pipe(3 * FORMATS[name])):
        assert damage == ""
        assert_speech(found, times=3)


def test_links_of_a_chained_ogg_may_have_different_rates(tmp_path: Path) -> None:
    slow = encoded("OGG", "VORBIS", soxr.resample(SPEECH, 16_000, 44_100), 44_100)
    found, damage = read_bytes(tmp_path, FORMATS["opus"] + slow)
    assert damage == ""
    assert_speech(found, times=2)


def with_size(content: bytes, place: int, value: int, order: str) -> bytes:
    return content[:place] + struct.pack(order + "I", value) + content[place + 4 :]


DATA = WAV.index(b"data") + 4
UNKNOWN_LENGTHS = {
    "wav, 0": with_size(WAV, DATA, 0, "<"),
    "wav, 0x7fffffff": with_size(WAV, DATA, 0x7FFF_FFFF, "<"),
    "wav, of sox": with_size(WAV, DATA, 0x7FFF_F000, "<"),
    "wav, 0xffffffff": with_size(with_size(WAV, 4, 0xFFFF_FFFF, "<"), DATA, 0xFFFF_FFFF, "<"),
    "wav, too small": with_size(WAV, DATA, 16_000, "<"),
    "au": with_size(FORMATS["au"], 8, 0xFFFF_FFFF, ">"),
    "aiff": with_size(FORMATS["aiff"], FORMATS["aiff"].index(b"SSND") + 4, 0x7F00_0000, ">"),
    "aiff, 0": with_size(FORMATS["aiff"], FORMATS["aiff"].index(b"SSND") + 4, 0, ">"),
    "caf": FORMATS["caf"].replace(b"data" + struct.pack(">q", 96_004), b"data" + struct.pack(">q", -1)),
    "adpcm": with_size(FORMATS["wav, ima adpcm"], FORMATS["wav, ima adpcm"].index(b"data") + 4, 0xFFFF_FFFF, "<"),
    "flac, 0": FLAC[:21] + bytes([FLAC[21] & 0xF0]) + bytes(4) + FLAC[26:],
    "flac, too small": FLAC[:21] + bytes([FLAC[21] & 0xF0]) + struct.pack(">I", 16_000) + FLAC[26:],
}


@pytest.mark.parametrize("name", UNKNOWN_LENGTHS)
def test_a_wrong_or_unknown_length_in_a_header_is_not_trusted(tmp_path: Path, name: str) -> None:
    for found, damage in (read_bytes(tmp_path, UNKNOWN_LENGTHS[name]), read_pipe(UNKNOWN_LENGTHS[name])):
        assert damage == ""
        assert_speech(found)


def test_tags_after_the_audio_are_not_audio(tmp_path: Path) -> None:
    tag = b"LIST" + struct.pack("<I", 20_000) + b"INFO" + bytes(19_996)
    for content in (WAV + tag, WAV + b"ID3\x03" + bytes(20_000), FLAC + b"TAG" + bytes(125)):
        found, damage = read_bytes(tmp_path, content)
        assert damage == ""
        assert len(found) == len(SPEECH)


def test_a_file_that_grows_ends_where_it_ended_when_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "growing.wav"
    path.write_bytes(UNKNOWN_LENGTHS["wav, 0xffffffff"])
    count = 0
    with path.open("ab") as file:
        for block in FileSource(path, paced=False).blocks():
            count += len(block.samples)
            file.write(bytes(10_000))
            file.flush()
    assert count == len(SPEECH)


@pytest.mark.parametrize("width", [3, 5, 6, 7, 8])
@pytest.mark.parametrize("order", ["<", ">"])
def test_integers_of_any_width_are_scaled(tmp_path: Path, width: int, order: str) -> None:
    value, rate = 2 ** (8 * width - 2), 16_000
    sample = value.to_bytes(width, "little" if order == "<" else "big", signed=True)
    form = struct.pack(order + "HHIIHH", 1, 1, rate, rate * width, width, 8 * width)
    body = b"WAVEfmt " + struct.pack(order + "I", 16) + form + b"data" + struct.pack(order + "I", 800 * width)
    magic = b"RIFF" if order == "<" else b"RIFX"
    content = magic + struct.pack(order + "I", len(body) + 800 * width) + body + 800 * sample
    found, damage = read_bytes(tmp_path, content)
    assert damage == ""
    np.testing.assert_array_equal(found, np.full(800, 0.5, np.float32))


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "ULAW"), ("WAV", "ALAW"), ("AU", "PCM_S8"), ("WAV", "DOUBLE")])
def test_samples_are_those_of_libsndfile(tmp_path: Path, kind: str, subtype: str) -> None:
    codes = np.linspace(-1, 1, 5000, dtype=np.float32)
    content = encoded(kind, subtype, codes)
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_array_equal(read_bytes(tmp_path, content)[0], expected)


def test_channels_that_cancel_each_other_are_used(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inverted = np.column_stack([SPEECH, -0.9 * SPEECH + rng.normal(0, 0.001, len(SPEECH))]).astype(np.float32)
    found, _ = read_bytes(tmp_path, encoded("WAV", "FLOAT", inverted))
    assert_speech(found)
    # Channels that have nothing in common are mixed, and so are equal channels.
    apart = rng.normal(0, 0.1, (48_000, 2)).astype(np.float32)
    found, _ = read_bytes(tmp_path, encoded("WAV", "FLOAT", apart))
    np.testing.assert_allclose(found, apart.mean(axis=1), atol=1e-6)


FOREIGN = {
    "MP4 or M4A": b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(100),
    "WebM or Matroska": b"\x1a\x45\xdf\xa3" + bytes(100),
    "WMA": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(100),
    "AMR": b"#!AMR\n" + bytes(100),
    "AAC": b"\xff\xf1\x50\x80" + bytes(100),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_of_a_format_that_kwsd_cannot_read_the_sentence_names_ffmpeg(tmp_path: Path, kind: str) -> None:
    for found, sentence in (read_bytes(tmp_path, FOREIGN[kind]), read_pipe(FOREIGN[kind])):
        assert not len(found)
        assert f"is {kind}, which kwsd cannot read: convert it with  ffmpeg -i " in sentence


def test_an_unknown_format_is_refused_with_a_hint_to_ffmpeg() -> None:
    for path in ("/dev/zero", "/dev/urandom", sys.executable):
        _, sentence = read(path)
        assert "is not a sound file that kwsd can read" in sentence
        assert "ffmpeg -i" in sentence
    assert read(__file__)[1] == f"{__file__} is not a sound file that kwsd can read: Format not recognised"


def test_an_endless_pipe_of_a_format_that_must_be_read_as_a_whole_has_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kwsd.audio.bytesource.MAX_SPOOLED", 10_000)
    _, sentence = read_pipe(FORMATS["vorbis"])
    assert "must be read as a whole" in sentence


def test_a_fifo_waits_for_its_writer(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = FileSource(fifo, paced=False)
    writer = threading.Thread(target=lambda: fifo.write_bytes(FORMATS["flac"]))
    writer.start()
    found = np.concatenate([block.samples for block in source.blocks()])
    writer.join()
    assert len(found) == len(SPEECH)


def test_a_fifo_without_a_writer_can_be_closed(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    source = FileSource(fifo, paced=False)
    source.close()
    with pytest.raises(AudioDataError):
        list(source.blocks())


def test_libmpg123_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = FORMATS["mp3"]
    middle = len(content) // 2
    odd = (
        b"ID3\x03\0\0\0\0\0\x20" + b"\xff" * 32 + content[:middle] + b"\xff\xfb" * 300 + content[middle:] + b"junk" * 99
    )
    found, _ = read_bytes(tmp_path, odd)
    os.write(2, b"ours\n")
    sys.stderr.write("also ours\n")
    assert abs(len(found) - len(SPEECH)) < 8000
    assert capfd.readouterr().err.splitlines() in (["ours", "also ours"], ["also ours", "ours"])


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as standard_input, os.fdopen(writing, "wb", 0) as feed:
        monkeypatch.setattr(sys, "stdin", standard_input)
        yield feed


STDIN = {name: FORMATS[name] for name in ("wav", "flac", "vorbis", "mp3", "aiff", "au", "w64", "caf")} | {
    "wav, 44.1 kHz stereo": encoded(
        "WAV", "PCM_16", np.column_stack([soxr.resample(SPEECH, 16_000, 44_100)] * 2), 44_100
    )
}


@pytest.mark.parametrize("name", STDIN)
def test_a_sound_file_on_standard_input_is_recognised(stdin: io.FileIO, name: str) -> None:
    def feed() -> None:
        stdin.write(STDIN[name])
        stdin.close()

    writer = threading.Thread(target=feed)
    writer.start()
    found = np.concatenate([block.samples for block in PipeSource().blocks()])
    writer.join()
    assert_speech(found)


def test_a_format_on_standard_input_that_kwsd_cannot_read_is_refused(stdin: io.FileIO) -> None:
    stdin.write(FOREIGN["MP4 or M4A"])
    with pytest.raises(AudioDataError, match="ffmpeg -i - -f s16le -ar 16000 -ac 1 -"):
        next(PipeSource().blocks())


def test_samples_that_look_like_a_sync_of_mp3_stay_samples(stdin: io.FileIO) -> None:
    samples = np.full(8000, -1, "<i2")
    samples[0] = struct.unpack("<h", b"\xff\xfb")[0]
    samples[1] = 0x0090
    stdin.write(samples.tobytes())
    stdin.close()
    found = np.concatenate([block.samples for block in PipeSource().blocks()])
    np.testing.assert_array_equal(found, samples / np.float32(32_768))


def test_a_header_that_claims_absurd_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(WAV[:24] + struct.pack("<I", 0xFFFF_FFFF) + WAV[28:])
    with pytest.raises(AudioDataError, match="its header is damaged"):
        FileSource(path, paced=False)
    path.write_bytes(WAV[:22] + struct.pack("<H", 0) + WAV[24:])
    with pytest.raises(AudioDataError, match="is not a sound file that kwsd can read: its header claims 0 channels"):
        FileSource(path, paced=False)


def test_a_reader_closes_its_file(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(WAV)
    before = open_descriptors()
    list(SoundReader(ByteSource.open(path, "sound")).blocks())
    with pytest.raises(AudioDataError):
        list(SoundReader(ByteSource.open(__file__, "text")).blocks())
    assert open_descriptors() == before


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


class Interrupted(ByteSource):
    """A file during whose reading somebody presses Ctrl+C, when it is looked at for the tenth time."""

    looks = 0

    def look(self, offset: int, count: int) -> bytes:
        self.looks += 1
        if self.looks == 10:
            signal.raise_signal(signal.SIGINT)
        return super().look(offset, count)


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "vorbis", "wav, gsm"])
def test_ctrl_c_ends_the_reading(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sound"
    path.write_bytes(FORMATS[name])
    reader = SoundReader(Interrupted.open(path, "sound"))
    with pytest.raises(KeyboardInterrupt):
        list(reader.blocks())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr().err == ""


class Failing(ByteSource):
    """A file on a disk that fails, after some reads."""

    looks = 0

    def look(self, offset: int, count: int) -> bytes:
        self.looks += 1
        if self.looks > 12:
            raise AudioDataError("cannot read sound: Input/output error")
        return super().look(offset, count)


@pytest.mark.parametrize("name", ["wav", "flac", "mp3"])
def test_an_error_of_the_disk_is_named(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sound"
    path.write_bytes(FORMATS[name])
    with pytest.raises(AudioDataError, match="cannot read sound: Input/output error"):
        list(SoundReader(Failing.open(path, "sound")).blocks())
    assert capfd.readouterr().err == ""


def test_samples_of_absurd_size_do_not_disturb_the_rest(tmp_path: Path) -> None:
    loud = np.column_stack([SPEECH, SPEECH])
    loud[100] = [3e38, -3e38]
    found, damage = read_bytes(tmp_path, encoded("WAV", "FLOAT", loud))
    assert damage == ""
    np.testing.assert_array_equal(found[2000:], SPEECH[2000:])
