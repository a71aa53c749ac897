"""Reading of word folders: which files are used, which are skipped, and how speakers are split."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import soxr

from kwsd.errors import AudioDataError, UsageError
from kwsd_train.data.augment import word_span
from kwsd_train.data.dataset import load_clips, load_recordings, load_rooms
from kwsd_train.data.features import as_float
from kwsd_train.data.layout import word_names
from kwsd_train.data.recipe_data import check_recipe_data, hash_clip_names
from kwsd_train.data.recording import Int16, read_recording
from kwsd_train.data.split import SPLITS, random_splits, split_of_speaker
from kwsd_train.recipe import read_recipe

SECOND = np.zeros(16_000, np.int16)


@pytest.fixture
def words(clips: Path, tmp_path: Path) -> Path:
    """Two words of two clips each, and other files and folders that are not words."""
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        for clip in sorted((clips / word).iterdir())[:2]:
            shutil.copy(clip, tmp_path / word)
    (tmp_path / "README.md").write_text("not a class")
    (tmp_path / ".DS_Store").write_bytes(b"nor this")
    (tmp_path / "_background_noise_").mkdir()
    soundfile.write(tmp_path / "_background_noise_" / "hiss.wav", SECOND, 16_000)
    return tmp_path


def test_only_word_folders_are_classes(words: Path) -> None:
    assert word_names(words) == ["no", "yes"]
    assert load_clips(words).count_by_word() == {"no": 2, "yes": 2}


def test_hidden_files_and_texts_inside_a_word_folder_are_no_clips(words: Path) -> None:
    (words / "yes" / ".DS_Store").write_bytes(b"")
    (words / "yes" / "._00000000_nohash_0.wav").write_bytes(b"")
    (words / "yes" / "README.md").write_text("")
    clips = load_clips(words)
    assert clips.count_by_word()["yes"] == 2
    assert clips.skipped == []


def test_the_data_folder_and_its_word_folders_are_the_same_data(data: Path) -> None:
    assert load_clips(data).count_by_word() == load_clips(data / "speech_commands").count_by_word()


def test_short_clips_are_padded_and_of_long_clips_the_word_is_used(words: Path) -> None:
    ramp = np.arange(20_000, dtype=np.int16)
    spoken = read_recording(min((words / "no").iterdir()))
    pause = np.zeros(20_000, np.int16)
    soundfile.write(words / "yes" / "long_nohash_0.wav", np.concatenate([pause, spoken, pause]), 16_000)
    soundfile.write(words / "yes" / "short_nohash_0.wav", ramp[:1000], 16_000)
    clips = load_clips(words, words=["yes"])
    by_name = {path.stem: row for path, row in zip(clips.paths, clips.samples, strict=True)}
    first, last = word_span(as_float(spoken), 0.01)
    word = spoken[first:last].tobytes()
    assert word in by_name["long_nohash_0"].tobytes()
    before = by_name["long_nohash_0"].tobytes().index(word) // 2
    after = 16_000 - before - (last - first)
    assert abs(before - after) < 4800  # it is in the middle, to 0.15 s
    assert clips.changes == ["clips longer than a second, of which the second with the most energy is used: 1"]
    assert (
        dict(zip([path.stem for path in clips.paths], clips.seconds.tolist(), strict=True))["short_nohash_0"] == 1 / 16
    )
    np.testing.assert_array_equal(by_name["short_nohash_0"], np.pad(ramp[:1000], (0, 15_000)))


def write_bad(kind: str, path: Path) -> None:
    if kind == "empty":
        soundfile.write(path, SECOND[:0], 16_000)
    elif kind == "truncated":
        soundfile.write(path, SECOND, 16_000)
        path.write_bytes(path.read_bytes()[:-1000])
    else:
        path.write_bytes(b"RIFF, but no more than that")


BAD = {
    "empty": "contains no audio",
    "truncated": "is truncated",
    "unreadable": "is not a sound file that kwsd can read",
}


@pytest.mark.parametrize(("kind", "reason"), BAD.items())
def test_a_file_that_cannot_be_used_is_skipped_and_named(words: Path, kind: str, reason: str) -> None:
    bad = words / "yes" / "bad_nohash_0.wav"
    write_bad(kind, bad)
    clips = load_clips(words)
    assert bad not in clips.paths
    (skipped,) = clips.skipped
    assert skipped.path == bad
    assert str(bad) in skipped.reason
    assert reason in skipped.reason


@pytest.mark.parametrize("kind", BAD)
def test_strict_stops_at_a_file_that_cannot_be_used(words: Path, kind: str) -> None:
    write_bad(kind, words / "yes" / "bad_nohash_0.wav")
    with pytest.raises(AudioDataError, match="bad_nohash_0"):
        load_clips(words, strict=True)


def test_a_truncated_flac_is_named(words: Path) -> None:
    clip = next((words / "no").glob("*.flac"))
    clip.write_bytes(clip.read_bytes()[:-2000])
    (skipped,) = load_clips(words).skipped
    assert skipped.path == clip


def test_a_folder_without_words_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no usable clip of any word"):
        load_clips(tmp_path)
    with pytest.raises(UsageError, match="there is no data folder"):
        load_clips(tmp_path / "missing")


# The first speakers of the upstream validation_list.txt and testing_list.txt, and one that is in neither.
def test_every_fixture_is_in_the_validation_part_as_upstream_lists_it(clips: Path) -> None:
    paths = sorted(clips.glob("*/*.flac"))
    assert len(paths) == 52
    assert set(load_clips(clips).splits.tolist()) == {"validation"}


@pytest.mark.parametrize(
    ("speaker", "split"), [("0a7c2a8d", "training"), ("a69b9b3e", "validation"), ("bb05582b", "testing")]
)
def test_the_speaker_decides(speaker: str, split: str) -> None:
    assert split_of_speaker(speaker) == split


def test_a_tenth_of_the_speakers_are_for_validation_and_a_tenth_for_testing() -> None:
    splits = [split_of_speaker(f"{number:08x}") for number in range(20_000)]
    assert splits.count("validation") / 20_000 == pytest.approx(0.1, abs=0.01)
    assert splits.count("testing") / 20_000 == pytest.approx(0.1, abs=0.01)


def test_the_lists_override_the_rule(words: Path) -> None:
    listed = min((words / "yes").iterdir())
    (words / "testing_list.txt").write_text(f"yes/{listed.stem}.wav\n")
    clips = load_clips(words)
    expected = ["testing" if path == listed else "validation" for path in clips.paths]
    assert clips.splits.tolist() == expected


def test_the_random_split_is_the_tutorial_s() -> None:
    splits = random_splits(8000, seed=0)
    assert [splits.count(name) for name in ("training", "validation", "testing")] == [6400, 800, 800]
    assert splits == random_splits(8000, seed=0) != random_splits(8000, seed=1)


def test_recordings_are_split_by_the_folder_of_their_speaker(tmp_path: Path) -> None:
    for speaker, length in (("0a7c2a8d", 100), ("099d52ad", 200)):
        (tmp_path / speaker).mkdir()
        soundfile.write(tmp_path / speaker / "a.wav", SECOND[:length], 16_000)
    assert [len(row) for row in load_recordings(tmp_path, ["training"])] == [100]
    assert [len(row) for row in load_recordings(tmp_path, ["validation"])] == [200]


def spoken_clip(words: Path) -> Int16:
    return read_recording(min((words / "no").glob("*.flac")))


class Format(NamedTuple):
    name: str
    rate: int = 16_000
    channels: int = 1
    subtype: str | None = "PCM_16"


@pytest.mark.parametrize(
    ("written", "change"),
    [
        (Format("a.wav", rate=8_000), "clips converted from 8000 Hz to 16000 Hz: 1"),
        (Format("a.wav", rate=44_100), "clips converted from 44100 Hz to 16000 Hz: 1"),
        (Format("a.wav", channels=2), "clips mixed from 2 channels to one: 1"),
        (Format("a.wav", subtype="FLOAT"), ""),
        (Format("a.wav", subtype="PCM_24"), ""),
        (Format("a.mp3", subtype=None), ""),
        (Format("a.opus", subtype="OPUS"), ""),
        (Format("a.aiff"), ""),
        (Format("recording of 5 May"), ""),
    ],
)
def test_a_clip_of_another_format_is_converted_and_counted(words: Path, written: Format, change: str) -> None:
    spoken = spoken_clip(words)
    native = np.column_stack([soxr.resample(spoken / 32_768, 16_000, written.rate)] * written.channels)
    kind = {".wav": "WAV", ".mp3": "MP3", ".opus": "OGG", ".aiff": "AIFF", "": "WAV"}[Path(written.name).suffix]
    soundfile.write(words / "yes" / written.name, native, written.rate, written.subtype, format=kind)
    clips = load_clips(words, words=["yes"])
    assert clips.changes == ([change] if change else [])
    assert clips.skipped == []
    found = next(row for path, row in zip(clips.paths, clips.samples, strict=True) if path.name == written.name)
    assert np.std(found[: len(spoken)].astype(float)) == pytest.approx(np.std(spoken.astype(float)), rel=0.1)


def test_a_clip_of_a_format_that_cannot_be_read_is_reported_with_a_way_to_convert_it(words: Path) -> None:
    (words / "yes" / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    (words / "yes" / "b").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    (words / "yes" / "c.wav").symlink_to(words / "gone.wav")
    reasons = [file.reason for file in load_clips(words).skipped]
    assert len(reasons) == 3
    assert "is MP4 or M4A, which kwsd cannot read: convert it with  ffmpeg -i" in reasons[0]
    assert "is WebM or Matroska" in reasons[1]
    assert reasons[2].endswith("c.wav: No such file or directory")


def test_float_clips_beyond_full_scale_are_limited_and_counted(words: Path) -> None:
    soundfile.write(words / "yes" / "a.wav", spoken_clip(words).astype(np.float32), 16_000, "FLOAT")
    clips = load_clips(words, words=["yes"])
    assert clips.changes == ["clips limited to full scale, which their samples exceed: 1"]
    assert np.abs(clips.samples.astype(int)).max() == 32_768


def test_a_long_recording_is_not_a_clip(words: Path) -> None:
    soundfile.write(words / "yes" / "a.wav", np.zeros(61 * 16_000, np.int16), 16_000)
    (skipped,) = load_clips(words).skipped
    assert skipped.reason.endswith("a.wav is longer than 60 s: cut it into shorter files")


def test_clips_in_folders_below_a_word_belong_to_the_word(words: Path) -> None:
    (words / "yes" / "session2" / "day1").mkdir(parents=True)
    shutil.copy(min((words / "yes").glob("*.flac")), words / "yes" / "session2" / "day1" / "b.flac")
    clips = load_clips(words)
    assert clips.count_by_word() == {"no": 2, "yes": 3}
    assert load_clips(words, words=["yes"]).count_by_word() == {"yes": 3}


def test_a_clip_whose_name_is_not_utf_8_is_used(words: Path) -> None:
    clip = min((words / "yes").glob("*.flac"))
    shutil.copy(clip, words / "yes" / os.fsdecode(b"caf\xe9.flac"))
    (words / "yes" / os.fsdecode(b"bad\xe9.flac")).write_bytes(b"fLaC")
    clips = load_clips(words)
    assert clips.count_by_word()["yes"] == 3
    (skipped,) = clips.skipped
    assert "bad?.flac is not a sound file" in skipped.reason
    assert len(hash_clip_names(clips)) == 64


def test_a_word_folder_whose_name_is_not_utf_8_is_refused(words: Path) -> None:
    (words / os.fsdecode(b"caf\xe9")).mkdir()
    with pytest.raises(UsageError, match=r"caf\\udce9' is not printable UTF-8: rename the folder"):
        load_clips(words)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("fold1", "fold2"), ("clips",)])
def test_folders_that_are_not_words_are_refused_with_the_layout(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name / "yes").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"are not words .*: kwsd-train wants a folder for each word"):
        load_clips(tmp_path)


def test_a_table_of_labels_is_refused_with_the_layout(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SECOND, 16_000)
    (tmp_path / "labels.csv").write_text("a.wav,yes\n")
    with pytest.raises(UsageError, match=r"has a table of labels \(labels.csv\), but no folders: kwsd-train wants"):
        load_clips(tmp_path)


def test_a_word_like_train_is_a_word_among_others(words: Path) -> None:
    (words / "train").mkdir()
    shutil.copy(min((words / "yes").glob("*.flac")), words / "train" / "a.flac")
    assert load_clips(words).count_by_word() == {"no": 2, "train": 1, "yes": 2}


def test_a_word_without_usable_clips_is_reported_with_the_reason(words: Path) -> None:
    (words / "up").mkdir()
    (words / "up" / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(UsageError, match=r"has no usable clip of up: .*a\.wav is not a sound file"):
        load_clips(words)


def test_one_word_alone_cannot_be_trained_without_a_mixture(words: Path) -> None:
    recipe = read_recipe("tutorial")
    shutil.rmtree(words / "no")
    clips = load_clips(words)
    with pytest.raises(UsageError, match="has only the word yes, and a network with one label"):
        check_recipe_data(recipe, words, clips.select(np.ones(2, bool)), ["yes"])


def test_of_a_damaged_recording_the_usable_part_is_used_and_the_damage_reported(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000)
    soundfile.write(tmp_path / "a.wav", noise, 16_000, "FLOAT")
    os.truncate(tmp_path / "a.wav", 64_000)
    soundfile.write(tmp_path / "b.flac", noise, 44_100)
    (tmp_path / "c.mp3").write_bytes(b"nothing")
    lines: list[str] = []
    first, second = load_recordings(tmp_path, SPLITS, say=lines.append)
    assert len(first) == pytest.approx(16_000, abs=50)
    assert np.std(first / 32_768) == pytest.approx(0.1, rel=0.05)
    assert len(second) == pytest.approx(32_000 * 16 / 44.1, abs=2)
    assert "a.wav is truncated: only its first" in lines[0]
    assert "skipped: " in lines[1]
    assert "c.mp3" in lines[1]
    with pytest.raises(AudioDataError, match="is truncated"):
        load_recordings(tmp_path, SPLITS, strict=True)


def test_rooms_of_any_format_are_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room = np.exp(-np.arange(8000) / 800) * np.random.default_rng(0).normal(0, 0.1, 8000)
    soundfile.write(tmp_path / "a.wav", room, 16_000, "PCM_16")
    soundfile.write(tmp_path / "b.wav", np.column_stack([room, room]), 48_000, "FLOAT")
    (tmp_path / "c.wav").write_bytes(b"nothing")
    plain, converted = load_rooms(tmp_path)
    assert plain == tmp_path / "a.wav"
    assert (soundfile.info(converted).samplerate, soundfile.info(converted).channels) == (16_000, 1)
    assert np.abs(soundfile.read(converted)[0]).max() > 0.05
    assert "skipped: " in capsys.readouterr().err
