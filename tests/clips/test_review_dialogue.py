"""The dialogue of ``kwsd review`` without the command line and without sound."""

import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwsd.clips.review import Answer, ClipReview, ReviewCounts, format_review_summary, parse_answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("y\n", Answer("word", "go")),
        ("w  turn on \n", Answer("word", "turn on")),
        ("n\n", Answer("none")),
        ("s\n", Answer("skip")),
        ("r\n", Answer("again")),
        ("q\n", Answer("quit")),
        ("w\n", "which word? For example:  w house"),
        ("w a/b\n", "'a/b' cannot be the name of a folder of clips"),
        ("yes\n", "y yes, n no keyword, w WORD another word, r play again, s skip, q quit"),
        ("\n", "y yes, n no keyword, w WORD another word, r play again, s skip, q quit"),
    ],
)
def test_a_line_is_an_answer_or_a_hint_how_to_answer(line: str, answer: Answer | str) -> None:
    assert parse_answer(line, "go") == answer


def save_clip(folder: Path, second: int) -> Path:
    path = folder / f"20260304T1200{second:02}.000Z_go_0.97_fired.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000))
    return path


def test_a_clip_that_a_daemon_removes_during_the_review_is_left_out(tmp_path: Path) -> None:
    first, second, third = (save_clip(tmp_path, number) for number in range(3))

    def answers() -> Iterator[str]:
        second.unlink()
        yield from ("y", "n")

    review = ClipReview(tmp_path, tmp_path / "data", sound=False, answers=answers())
    assert review.run() == ReviewCounts(words=1, others=1, left=0)
    assert (tmp_path / "data" / "speech_commands" / "go" / f"reviewed_nohash_{first.name}").exists()
    assert (tmp_path / "data" / "mined" / "reviewed" / third.name).exists()


def test_the_summary_names_the_next_command_only_after_something_was_sorted(tmp_path: Path) -> None:
    (data := tmp_path / "my data").mkdir()
    (data / "speech").mkdir()
    clips = tmp_path / "clips"
    assert format_review_summary(ReviewCounts(0, 0, 2), clips, data).splitlines() == [
        f"sorted 0 into {data}: 0 as words, 0 as no keyword; 2 left in {clips}"
    ]
    assert format_review_summary(ReviewCounts(2, 1, 0), clips, data).splitlines() == [
        f"sorted 3 into {data}: 2 as words, 1 as no keyword; 0 left in {clips}",
        f"next: kwsd-train fit --recipe default-round-1 --data '{data}'",
    ]
