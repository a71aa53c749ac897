"""Runs the dialogue of ``kwsd review``, which plays each clip, asks for the spoken word, and sorts the clip."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from kwsd.audio.file import FileSource
from kwsd.audio.playback import play
from kwsd.clips.clip import ClipName, list_clips
from kwsd.clips.sorting import is_folder_name, move_to_no_keyword, move_to_word
from kwsd.errors import AudioDataError, AudioUnavailableError
from kwsd.log import print_message, print_prompt
from kwsd.system.text import format_local_time

KEYS = "y yes, n no keyword, w WORD another word, r play again, s skip, q quit"


class Answer(NamedTuple):
    """The answer that the user typed about a clip.

    Parameters
    ----------
    action : str
        Action: "word" (the clip contains `word`), "none" (no keyword), "skip", "again" (play again) or "quit".
    word : str
        Word that the clip contains, only for the action "word".
    """

    action: Literal["word", "none", "skip", "again", "quit"]
    word: str = ""


class ReviewCounts(NamedTuple):
    """Number of clips that were sorted as a word, number of clips without a keyword, and number of unsorted clips."""

    words: int
    others: int
    left: int


class ClipReview:
    """A dialogue about the clips in a folder and in its subfolders for the streams.

    Parameters
    ----------
    folder : Path
        Folder in which ``kwsd run --save-clips`` saves clips.
    data : Path
        Data folder of ``kwsd-train``; the folder is created if it does not exist.
    sound : bool
        Whether clips are played.
    answers : iterator of str, optional
        Lines with the answers of the user; if not given, they are read from standard input. Questions are written to
        standard error.
    """

    def __init__(self, folder: Path, data: Path, *, sound: bool, answers: Iterator[str] | None = None) -> None:
        self._folder = folder
        self._data = data
        self._sound = sound
        self._answers = answers or iter(sys.stdin.readline, "")

    def list_clips(self) -> list[Path]:
        """Return the clips that have not been sorted, oldest first."""
        streams = [path for path in self._folder.iterdir() if path.is_dir()]
        found = [clip for folder in (self._folder, *streams) for clip in list_clips(folder)]
        return sorted(found, key=lambda clip: clip.name)

    def run(self) -> ReviewCounts:
        """Ask about each clip until the user quits or there are no more answers.

        Raises
        ------
        OutputError
            A clip cannot be moved.
        AudioUnavailableError
            A clip cannot be played.
        """
        clips = self.list_clips()
        print_message(f"{len(clips)} clips. Was the word said?  {KEYS}")
        words = others = 0
        for number, clip in enumerate(clips, 1):
            name = ClipName.parse(clip)
            if name is None or not clip.exists():
                continue  # a running daemon removes the oldest clips
            self._play(clip)
            answer = self._ask(f"{number}/{len(clips)}  {_describe(name)}  ? ", name.keyword, clip)
            if answer.action == "quit":
                break
            if answer.action == "word":
                move_to_word(clip, answer.word, self._data)
                words += 1
            elif answer.action == "none":
                move_to_no_keyword(clip, self._data)
                others += 1
        return ReviewCounts(words, others, len(self.list_clips()))

    def _ask(self, question: str, keyword: str, clip: Path) -> Answer:
        """Ask about a clip until the user gives a final answer."""
        while True:
            print_prompt(question)
            line = next(self._answers, None)
            if line is None:
                print_message("")
                return Answer("quit")
            answer = parse_answer(line, keyword)
            if isinstance(answer, str):
                print_message(answer)
            elif answer.action != "again":
                return answer
            elif self._sound:
                self._play(clip)
            else:
                print_message(KEYS)

    def _play(self, clip: Path) -> None:
        if not self._sound:
            return
        try:
            play(np.concatenate([block.samples for block in FileSource(clip, paced=False).blocks()]))
        except AudioDataError as error:
            print_message(str(error))
        except AudioUnavailableError as error:
            raise AudioUnavailableError(f"{error}; to review without sound:  kwsd review --no-play") from None


def parse_answer(line: str, keyword: str) -> Answer | str:
    """Return the answer in a line that the user typed, or a hint if the line is not an answer.

    Parameters
    ----------
    keyword : str
        Keyword that the daemon detected, which the answer "y" confirms.
    """
    key, _, rest = line.strip().partition(" ")
    simple: dict[str, Answer] = {"n": Answer("none"), "s": Answer("skip"), "r": Answer("again"), "q": Answer("quit")}
    if key in simple:
        return simple[key]
    if key not in {"y", "w"}:
        return KEYS
    word = keyword if key == "y" else rest.strip()
    if is_folder_name(word):
        return Answer("word", word)
    return f"{word!r} cannot be the name of a folder of clips" if word else "which word? For example:  w house"


def format_review_summary(counts: ReviewCounts, folder: Path, data: Path) -> str:
    """Return a summary of the sorted clips, with the command that uses the clips for training."""
    words, others, left = counts
    sorted_clips = words + others
    lines = [f"sorted {sorted_clips} into {data}: {words} as words, {others} as no keyword; {left} left in {folder}"]
    if sorted_clips and not (data / "speech").is_dir():
        lines.append(f"for training, {data} also needs words, speech, noise and rooms: see docs/training.md")
    if sorted_clips:
        lines.append(f"next: kwsd-train fit --recipe default-round-1 --data {shlex.quote(str(data))}")
    return "\n".join(lines)


def _describe(name: ClipName) -> str:
    return f"{format_local_time(name.time, '%a %H:%M:%S')}  {name.keyword:<10} {name.score:.2f} {name.kind:<5}"
