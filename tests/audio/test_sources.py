"""Sources: whatever the file or pipe is like, the same audio comes out of it, and what is no audio is named."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from kwsd.audio.convert import Converter
from kwsd.audio.file import FileSource
from kwsd.audio.opening import open_source
from kwsd.audio.pipe import PipeSource
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.errors import AudioDataError
from kwsd.frontend import Float32

SPEECH, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32", start=16_000, frames=40_000)
SPEECH *= 0.9 / np.abs(SPEECH).max()


def samples(path: Path) -> Float32:
    return np.concatenate([block.samples for block in FileSource(path, paced=False).blocks()])


def usable(path: Path) -> tuple[Float32, str]:
    """What a damaged file yields before its error, and the error."""
    blocks: list[Float32] = []
    with pytest.raises(AudioDataError) as refused:
        blocks.extend(block.samples for block in FileSource(path, paced=False).blocks())
    return np.concatenate(blocks), str(refused.value)


def assert_same_audio(found: Float32, expected: Float32, tolerance: float) -> None:
    """Within a share of the expected level, and neither shifted nor scaled."""
    assert found.dtype == np.float32
    assert abs(len(found) - len(expected)) <= 2
    size = min(len(found), len(expected))
    error = found[:size] - expected[:size]
    assert np.sqrt(np.mean(error**2)) <= tolerance * np.sqrt(np.mean(expected**2))


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("u8.wav", "PCM_U8", 0.1),
        ("s16.wav", "PCM_16", 1e-3),
        ("s24.wav", "PCM_24", 1e-5),
        ("s32.wav", "PCM_32", 1e-6),
        ("float.wav", "FLOAT", 0),
        ("double.wav", "DOUBLE", 0),
        ("mu-law.wav", "ULAW", 0.05),
        ("s16.flac", "PCM_16", 1e-3),
        ("s24.flac", "PCM_24", 1e-5),
    ],
)
def test_a_file_of_any_width_delivers_the_same_audio(tmp_path: Path, name: str, subtype: str, tolerance: float) -> None:
    soundfile.write(tmp_path / name, SPEECH, 16_000, subtype)
    assert_same_audio(samples(tmp_path / name), SPEECH, tolerance)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_of_any_rate_delivers_the_same_audio_at_16_khz(tmp_path: Path, rate: int, channels: int) -> None:
    native = soxr.resample(SPEECH, 16_000, rate)
    soundfile.write(tmp_path / "native.wav", np.column_stack([native] * channels), rate, "FLOAT")
    expected = soxr.resample(native, rate, 16_000)
    assert_same_audio(samples(tmp_path / "native.wav"), expected, 1e-4)
    # What the rate can hold at all, it holds.
    low = soxr.resample(SPEECH, 16_000, 4_000)
    assert_same_audio(soxr.resample(samples(tmp_path / "native.wav"), 16_000, 4_000), low, 0.02)


def test_channels_are_mixed_to_their_mean_unless_they_cancel(tmp_path: Path) -> None:
    one_sided = np.column_stack([SPEECH, np.zeros_like(SPEECH)])
    soundfile.write(tmp_path / "one.wav", one_sided, 16_000, "FLOAT")
    assert_same_audio(samples(tmp_path / "one.wav"), SPEECH / 2, 1e-6)
    soundfile.write(tmp_path / "opposite.wav", np.column_stack([SPEECH, -SPEECH]), 16_000, "FLOAT")
    assert_same_audio(samples(tmp_path / "opposite.wav"), SPEECH, 1e-6)


rates = st.sampled_from([8_000, 11_025, 44_100, 48_000])


@given(rate=rates, seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 9_000), max_size=20))
def test_resampling_as_a_stream_equals_resampling_at_once(rate: int, seed: int, cuts: list[int]) -> None:
    native = np.random.default_rng(seed).uniform(-1, 1, 9_000).astype(np.float32)
    blocks = np.split(native[:, np.newaxis], sorted(cuts))
    converter = Converter(rate)
    streamed = [converter.convert(block, last=number == len(blocks)) for number, block in enumerate(blocks, 1)]
    expected = soxr.resample(native, rate, 16_000)
    found = np.concatenate(streamed)
    assert abs(len(found) - len(expected)) <= 1
    size = min(len(found), len(expected))
    np.testing.assert_allclose(found[:size], expected[:size], atol=1e-5)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_sample_that_is_no_number_does_not_silence_the_rest(
    tmp_path: Path, rate: int, value: float, channels: int
) -> None:
    native = np.column_stack([soxr.resample(SPEECH, 16_000, rate)] * channels)
    clean = native.copy()
    clean[500] = 0
    native[500] = [value, -value][:channels]
    soundfile.write(tmp_path / "native.wav", native, rate, "FLOAT")
    soundfile.write(tmp_path / "clean.wav", clean, rate, "FLOAT")
    np.testing.assert_array_equal(samples(tmp_path / "native.wav"), samples(tmp_path / "clean.wav"))


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SPEECH, 16_000, "PCM_16", format=kind)
    return file.getvalue()


WAV, FLAC = encoded("WAV"), encoded("FLAC")
WAV_HEADER = WAV.index(b"data") + 8


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a sound file that kwsd can read"),
        (b"Dear diary, today was a good day.", "is not a sound file that kwsd can read: Format not recognised"),
        (WAV[:30], "is not a sound file that kwsd can read"),
        (WAV[:WAV_HEADER], "contains no audio"),
        (WAV[: WAV_HEADER - 4] + bytes(4), "contains no audio"),
        (FLAC[:8], "is not a sound file that kwsd can read"),
    ],
    ids=["empty", "text", "cut in the header", "header only", "header of no audio", "flac cut in the header"],
)
def test_a_file_without_audio_is_refused_by_name(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(content)
    with pytest.raises(AudioDataError, match=sentence) as refused:
        FileSource(path, paced=False)
    assert str(path) in str(refused.value)


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AudioDataError, match=r"cannot read .*none\.wav: No such file or directory"):
        open_source(f"file:{tmp_path / 'none.wav'}")
    with pytest.raises(AudioDataError, match=r"cannot read .*: Is a directory"):
        open_source(f"file:{tmp_path}")
    with pytest.raises(AudioDataError, match=r"cannot read .*: Is a directory"):
        open_source("file:")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(WAV)
    path.chmod(0)
    with pytest.raises(AudioDataError, match="Permission denied"):
        FileSource(path, paced=False)


def test_of_a_truncated_wav_all_that_is_there_is_used(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(WAV[: WAV_HEADER + 2 * 24_000])
    found, sentence = usable(path)
    assert_same_audio(found, SPEECH[:24_000], 1e-3)
    assert sentence == f"{path} is truncated: only its first 1.50 s could be used"


def test_of_a_truncated_flac_nearly_all_that_is_there_is_used(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(FLAC[: len(FLAC) * 3 // 4])
    found, sentence = usable(path)
    assert 16_000 < len(found) < len(SPEECH)
    assert_same_audio(found, SPEECH[: len(found)], 1e-3)
    assert sentence == f"{path} is damaged or truncated: only its first {len(found) / 16_000:.2f} s could be used"


def test_of_a_damaged_flac_what_comes_before_the_damage_is_used(tmp_path: Path) -> None:
    path = tmp_path / "damaged.flac"
    middle = len(FLAC) // 2
    path.write_bytes(FLAC[:middle] + bytes(2000) + FLAC[middle + 2000 :])
    found, sentence = usable(path)
    assert_same_audio(found, SPEECH[: len(found)], 1e-3)
    assert "is damaged or truncated" in sentence


@pytest.mark.parametrize("length", [0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_wav_from_a_pipe_which_does_not_know_its_length_is_whole(tmp_path: Path, length: int) -> None:
    path = tmp_path / "piped.wav"
    path.write_bytes(WAV[: WAV_HEADER - 4] + length.to_bytes(4, "little") + WAV[WAV_HEADER:])
    assert_same_audio(samples(path), SPEECH, 1e-3)


@pytest.mark.parametrize(
    "edit",
    [
        lambda wav: wav + b"a note at the end",
        lambda wav: wav[:4] + (1000).to_bytes(4, "little") + wav[8:],
        lambda wav: wav[:28] + (12_345).to_bytes(4, "little") + wav[32:],
    ],
    ids=["something after the audio", "wrong length of the file", "wrong bytes per second"],
)
def test_a_wav_with_an_odd_header_is_whole(tmp_path: Path, edit: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(edit(WAV))
    assert_same_audio(samples(path), SPEECH, 1e-3)


def test_a_file_whose_name_is_no_text_has_a_name_that_is(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    path.write_bytes(WAV)
    assert FileSource(path, paced=False).name == f"file:{tmp_path}/?.wav"
    assert_same_audio(samples(path), SPEECH, 1e-3)


def test_a_closed_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(WAV)
    source = FileSource(path, paced=True)
    blocks = source.blocks()
    next(blocks)
    source.close()
    assert list(blocks) == []


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.FileIO]:
    """The end to write to of a pipe that is standard input."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as stdin, os.fdopen(writing, "wb", 0) as feed:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield feed


PCM = (SPEECH[:4000] * 32_768).astype("<i2")


def test_samples_on_a_pipe_are_signed_16_bit_little_endian(pipe: io.FileIO) -> None:
    pipe.write(b"\x00\x00\x00\x40\x00\x80\xff\x7f")
    pipe.close()
    found = np.concatenate([block.samples for block in PipeSource().blocks()])
    np.testing.assert_array_equal(found, np.array([0, 0.5, -1, 32_767 / 32_768], np.float32))


def test_a_sample_may_come_in_two_writes(pipe: io.FileIO) -> None:
    blocks = PipeSource().blocks()
    data = PCM.tobytes()
    found = []
    for start in range(0, len(data), 101):
        pipe.write(data[start : start + 101])
        found.append(next(blocks).samples)
    pipe.close()
    assert list(blocks) == []
    np.testing.assert_array_equal(np.concatenate(found), PCM / np.float32(32_768))


def test_an_odd_number_of_bytes_is_refused_after_all_whole_samples(pipe: io.FileIO) -> None:
    pipe.write(PCM.tobytes() + b"\x01")
    pipe.close()
    found: list[Float32] = []
    with pytest.raises(AudioDataError, match="standard input ended inside a sample"):
        found.extend(block.samples for block in PipeSource().blocks())
    np.testing.assert_array_equal(np.concatenate(found), PCM / np.float32(32_768))


def test_a_pipe_without_samples_is_refused(pipe: io.FileIO) -> None:
    pipe.close()
    with pytest.raises(AudioDataError, match="standard input contains no audio"):
        list(PipeSource().blocks())


def test_a_closed_pipe_source_ends_though_the_pipe_is_open(pipe: io.FileIO) -> None:
    source = PipeSource()
    blocks = source.blocks()
    pipe.write(PCM.tobytes())
    next(blocks)
    source.close()
    assert list(blocks) == []
