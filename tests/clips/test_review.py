"""``kwsd review``: saved clips become training data."""

from pathlib import Path

import pytest
import soundfile
from helpers.command import Command

from kwsd.clips.sorting import is_folder_name

NAMES = {
    "go": "20260304T120000.000Z_go_0.97_fired.wav",
    "up": "20260304T120001.500Z_up_0.80_near.wav",
    "stop": "20260304T120002.000Z_stop_0.99_fired.wav",
}


@pytest.fixture
def kept(clips: Path, tmp_path: Path) -> Path:
    """A folder with three clips and another file."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for word, name in NAMES.items():
        samples, rate = soundfile.read(min((clips / word).iterdir()), dtype="int16")
        soundfile.write(folder / name, samples, rate)
    (folder / "notes.txt").write_text("mine")
    return folder


def review(kwsd: Command, kept: Path, data: Path, answers: str) -> list[str]:
    done = kwsd.run("review", "--no-play", kept, "--into", data, stdin=answers.encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_each_answer_moves_the_clip_to_its_folder(kwsd: Command, kept: Path, tmp_path: Path) -> None:
    data = tmp_path / "my data"
    lines = review(kwsd, kept, data, "y\nn\nw house\n")
    assert files(data) == {
        f"speech_commands/go/reviewed_nohash_{NAMES['go']}",
        f"mined/reviewed/{NAMES['up']}",
        f"speech_commands/house/reviewed_nohash_{NAMES['stop']}",
    }
    assert files(kept) == {"notes.txt"}
    assert lines == [
        f"sorted 3 into {data}: 2 as words, 1 as no keyword; 0 left in {kept}",
        f"for training, {data} also needs words, speech, noise and rooms: see docs/training.md",
        f"next: kwsd-train fit --recipe default-round-1 --data '{data}'",
    ]


def test_each_question_has_time_keyword_score_and_kind(kwsd: Command, kept: Path, tmp_path: Path) -> None:
    done = kwsd.run("review", "--no-play", kept, "--into", tmp_path / "data", stdin=b"s\nq\n", TZ="UTC")
    assert done.stderr == (
        "3 clips. Was the word said?  y yes, n no keyword, w WORD another word, r play again, s skip, q quit\n"
        "1/3  Wed 12:00:00  go         0.97 fired  ? 2/3  Wed 12:00:01  up         0.80 near   ? "
    )


@pytest.mark.parametrize("answers", ["s\nq\n", "s\n", "", "q\n"])
def test_skipped_clips_and_clips_after_the_end_stay(kwsd: Command, kept: Path, tmp_path: Path, answers: str) -> None:
    lines = review(kwsd, kept, tmp_path / "data", answers)
    assert lines == [f"sorted 0 into {tmp_path / 'data'}: 0 as words, 0 as no keyword; 3 left in {kept}"]
    assert files(kept) == {"notes.txt", *NAMES.values()}
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("answer", ["", "yes", "no", "x", "w", "w ../../elsewhere", "w _unknown_", "w mined", "r"])
def test_an_invalid_answer_is_asked_for_again(kwsd: Command, kept: Path, tmp_path: Path, answer: str) -> None:
    lines = review(kwsd, kept, tmp_path / "data", f"{answer}\ny\nq\n")
    assert lines[0].startswith(f"sorted 1 into {tmp_path / 'data'}: 1 as words")
    assert files(tmp_path / "data") == {f"speech_commands/go/reviewed_nohash_{NAMES['go']}"}


def test_words_go_to_word_folders_directly_in_the_data_folder(kwsd: Command, kept: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "house").mkdir(parents=True)
    review(kwsd, kept, tmp_path / "data", "y\nn\nq\n")
    assert files(tmp_path / "data") == {f"go/reviewed_nohash_{NAMES['go']}", f"mined/reviewed/{NAMES['up']}"}


def test_an_existing_clip_is_not_overwritten(kwsd: Command, kept: Path, tmp_path: Path) -> None:
    there = tmp_path / "data" / "mined" / "reviewed" / NAMES["go"]
    there.parent.mkdir(parents=True)
    there.write_text("before")
    done = kwsd.run("review", "--no-play", kept, "--into", tmp_path / "data", stdin=b"n\n")
    assert done.returncode == 74
    assert done.stderr.endswith(f"kwsd: {there} already exists: {kept / NAMES['go']} was not moved\n")
    assert there.read_text() == "before"


def test_if_the_data_folder_cannot_be_created_no_clip_is_lost(kwsd: Command, kept: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    done = kwsd.run("review", "--no-play", kept, "--into", tmp_path / "data", stdin=b"y\n")
    assert done.returncode == 74
    assert done.stderr.splitlines()[-1].endswith("Not a directory")
    assert files(kept) == {"notes.txt", *NAMES.values()}


def test_clips_of_several_streams_are_sorted_together_oldest_first(kwsd: Command, kept: Path, tmp_path: Path) -> None:
    for word, stream in [("go", "door"), ("up", "desk")]:
        (kept / stream).mkdir()
        (kept / NAMES[word]).rename(kept / stream / NAMES[word])
    data = tmp_path / "data"
    assert review(kwsd, kept, data, "y\nn\nq\n")[0] == (
        f"sorted 2 into {data}: 1 as words, 1 as no keyword; 1 left in {kept}"
    )
    assert files(data) == {f"speech_commands/go/reviewed_nohash_{NAMES['go']}", f"mined/reviewed/{NAMES['up']}"}


def test_the_end_of_the_answers_ends_the_line_of_the_question(kwsd: Command, kept: Path, tmp_path: Path) -> None:
    done = kwsd.run("review", "--no-play", kept, "--into", tmp_path / "data")
    assert done.stderr.endswith("? \n")


def test_without_clips_it_prints_how_to_save_some(kwsd: Command, tmp_path: Path) -> None:
    done = kwsd.run("review", tmp_path, "--into", tmp_path / "data")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"there are no clips in {tmp_path}; to save some:  kwsd run --save-clips {tmp_path}\n"
    missing = kwsd.run("review", tmp_path / "none", "--into", tmp_path / "data")
    assert (missing.returncode, missing.stderr) == (2, f"kwsd: there is no folder {tmp_path / 'none'}\n")


@pytest.mark.parametrize("text", ["", ".", "..", ".hidden", "_silence_", "a/b", "speech", "rir", "a\nb"])
def test_some_texts_cannot_be_the_name_of_a_folder(text: str) -> None:
    assert not is_folder_name(text)


def test_words_of_all_languages_can_be_the_name_of_a_folder() -> None:
    assert all(map(is_folder_name, ("go", "turn on", "Straße", "はい", "it's")))
