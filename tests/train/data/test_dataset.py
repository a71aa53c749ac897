"""Reading of word folders: which files are used, which are skipped, and how speakers are split."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd.errors import AudioDataError, UsageError
from kwsd_train.data.augment import word_span
from kwsd_train.data.dataset import load_clips, load_recordings
from kwsd_train.data.features import as_float
from kwsd_train.data.layout import word_names
from kwsd_train.data.recording import read_recording
from kwsd_train.data.split import random_splits, split_of_speaker

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
    assert clips.changes == ["longer than a second, so the second with the most energy is used: 1 clips"]
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
