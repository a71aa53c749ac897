"""Streams with known words."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd.cli.demo import DEMO_FOLDER
from kwsd.errors import AudioDataError, UsageError
from kwsd_train.data.dataset import load_clips
from kwsd_train.data.recording import read_recording
from kwsd_train.measuring.streams import LEVEL, StreamBuilder, StreamCondition, noise_track, read_marked_recordings

CLEAN, NOISY = StreamCondition("clean", None), StreamCondition("10 dB", 10)
KEYWORDS = ("go", "no", "yes")


@pytest.fixture(scope="module")
def builder(clips: Path) -> StreamBuilder:
    hiss = np.random.default_rng(1).integers(-3000, 3000, 80_000).astype(np.int16)
    return StreamBuilder(load_clips(clips), KEYWORDS, [hiss], [], per_keyword=4, seed=3)


def test_every_clip_of_every_keyword_is_spoken_and_others_between(builder: StreamBuilder) -> None:
    words = [spoken.word for spoken in builder.build_stream(CLEAN).spoken]
    assert [words.count(word) for word in KEYWORDS] == [4, 4, 4]
    assert len(words) == 16
    assert words[3] not in KEYWORDS


def test_gaps_last_half_a_second_to_three_seconds(builder: StreamBuilder) -> None:
    spoken = builder.build_stream(CLEAN).spoken
    gaps = [(later.start - earlier.end) / 16_000 for earlier, later in pairwise(spoken)]
    assert all(0.5 <= gap <= 3 for gap in gaps)
    assert len(set(gaps)) == len(gaps)


def test_the_voice_ends_inside_the_clip(builder: StreamBuilder) -> None:
    assert all(spoken.start < spoken.voice_end <= spoken.end for spoken in builder.build_stream(CLEAN).spoken)


def test_words_have_a_common_level(builder: StreamBuilder) -> None:
    stream = builder.build_stream(CLEAN)
    peaks = [np.abs(stream.samples[s.start : s.end]).max() for s in stream.spoken]
    assert all(LEVEL < peak < 20 * LEVEL for peak in peaks)


def test_noise_changes_neither_the_words_nor_their_times(builder: StreamBuilder) -> None:
    clean, noisy = builder.build_stream(CLEAN), builder.build_stream(NOISY)
    assert noisy.spoken == clean.spoken
    noise = noisy.samples - clean.samples
    assert np.sqrt(np.square(noise).mean()) == pytest.approx(LEVEL / np.sqrt(10), rel=0.02)


def test_the_seed_decides(builder: StreamBuilder, clips: Path) -> None:
    again = StreamBuilder(load_clips(clips), KEYWORDS, builder.noise, [], per_keyword=4, seed=3).build_stream(NOISY)
    np.testing.assert_array_equal(again.samples, builder.build_stream(NOISY).samples)
    other = StreamBuilder(load_clips(clips), KEYWORDS, builder.noise, [], per_keyword=4, seed=4).build_stream(NOISY)
    assert other.spoken != again.spoken


def test_conditions_without_recordings_are_left_out(builder: StreamBuilder, clips: Path) -> None:
    assert [stream.name for stream in builder.build_all()] == ["clean", "20 dB", "10 dB", "5 dB"]
    quiet = StreamBuilder(load_clips(clips), KEYWORDS, [], [], per_keyword=1, seed=0)
    assert [stream.name for stream in quiet.build_all()] == ["clean"]


@pytest.mark.filterwarnings("ignore:.* slated for removal in Python 3.13:DeprecationWarning")  # what librosa imports
def test_a_room_changes_the_words_and_not_their_times(builder: StreamBuilder, clips: Path, tmp_path: Path) -> None:
    echo = np.zeros(8000, np.float32)
    echo[[0, 1600, 4800]] = 0.9, 0.5, 0.3
    soundfile.write(tmp_path / "room.wav", echo, 16_000)
    indoors = StreamBuilder(load_clips(clips), KEYWORDS, [], [tmp_path / "room.wav"], per_keyword=4, seed=3)
    stream = indoors.build_stream(StreamCondition("room", None, room=True))
    assert stream.spoken == builder.build_stream(CLEAN).spoken
    assert not np.allclose(stream.samples, builder.build_stream(CLEAN).samples, atol=0.01)


def test_noise_of_any_length_has_a_level_of_one() -> None:
    recordings = [np.full(1000, 500, np.int16), np.zeros(500, np.int16)]
    noise = noise_track(recordings, 12_345, np.random.default_rng(0))
    assert len(noise) == 12_345
    np.testing.assert_allclose(noise, 1, rtol=1e-5)


def test_a_data_folder_without_the_keywords_is_refused(clips: Path) -> None:
    with pytest.raises(UsageError, match="no clip of marvin"):
        StreamBuilder(load_clips(clips), ["marvin"], [], [], 4, 0).build_stream(CLEAN)


def test_a_marked_recording_is_read_with_its_words() -> None:
    (stream,) = read_marked_recordings(DEMO_FOLDER)
    assert [spoken.word for spoken in stream.spoken[:5]] == ["go", "stop", "left", "right", "cat"]
    assert stream.spoken[0].start == 16_000
    assert stream.spoken[0].voice_end == stream.spoken[0].end == 32_000
    assert len(stream.samples) == len(read_recording(DEMO_FOLDER / "demo.flac"))


@pytest.mark.parametrize(
    "content", ["word,start_s\nyes,1\n", "word,start_s,end_s\nyes,one,2\n", "word,start_s,end_s\nyes,1\n"]
)
def test_marks_without_times_are_refused_with_the_name_of_their_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "own.flac").write_bytes((DEMO_FOLDER / "demo.flac").read_bytes())
    (tmp_path / "own.csv").write_text(content)
    with pytest.raises(
        AudioDataError, match=r"own\.csv cannot be read as a table with the columns word, start_s and end_s"
    ):
        read_marked_recordings(tmp_path)
