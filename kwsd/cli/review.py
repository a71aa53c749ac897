"""``kwsd review``."""

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kwsd.clips.clip import Name

KEYS = "y yes, n no keyword, w WORD another word, r play again, s skip, q quit"


def review(
    folder: Annotated[Path, typer.Argument(help="Where `kwsd run --save-clips` keeps clips.")],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="Data folder of `kwsd-train`; made if it is not there.")],
    no_play: Annotated[bool, typer.Option("--no-play", help="Play nothing, where there is no sound.")] = False,
) -> None:
    """Play the clips that were kept, ask what was said, and move them where training takes them from.

    Ends with the command that trains on them. What is skipped stays, as does everything after a quit.
    """
    from kwsd.clips.clip import Name
    from kwsd.clips.sorting import keep_as_no_keyword, keep_as_word
    from kwsd.errors import UsageError
    from kwsd.log import silence_libraries

    silence_libraries()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    clips = _clips(folder)
    if not clips:
        _say(f"there are no clips in {folder}: kwsd run --save-clips {shlex.quote(str(folder))} keeps some")
        return
    _say(f"{len(clips)} clips. Was the word said?  {KEYS}")
    answers: Counter[str] = Counter()
    for number, clip in enumerate(clips, 1):
        name = Name.parse(clip)
        if name is None or not clip.exists():
            continue  # a daemon that runs removes the oldest
        if not no_play:
            _play(clip)
        key, word = _ask(f"{number}/{len(clips)}  {_about(name)}  ? ", name.keyword, clip, play=not no_play)
        if key == "q":
            break
        if key == "w":
            keep_as_word(clip, word, into)
        elif key == "n":
            keep_as_no_keyword(clip, into)
        answers[key] += 1
    _conclude(answers["w"], answers["n"], folder, into)


def _clips(folder: Path) -> list[Path]:
    """The clips in a folder and in those of the streams in it, oldest first."""
    from kwsd.clips.clip import clips_in

    streams = [path for path in folder.iterdir() if path.is_dir()]
    return sorted((clip for kept in (folder, *streams) for clip in clips_in(kept)), key=lambda clip: clip.name)


def _about(name: "Name") -> str:
    return f"{name.time.astimezone():%a %H:%M:%S}  {name.keyword:<10} {name.score:.2f} {name.kind:<5}"


def _ask(question: str, keyword: str, clip: Path, *, play: bool) -> tuple[str, str]:
    """Ask until there is an answer: the key w and a word, or n, s or q."""
    from kwsd.clips.sorting import is_word

    while True:
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            _say("")
            return "q", keyword
        key, _, rest = line.strip().partition(" ")
        key, word = ("w", keyword) if key == "y" else (key, rest.strip())
        if key in {"n", "s", "q"} or (key == "w" and is_word(word)):
            return key, word
        if key == "r" and play:
            _play(clip)
        elif key == "w":
            _say(f"{word!r} cannot name a folder of clips" if word else "which word? For example:  w house")
        else:
            _say(KEYS)


def _play(clip: Path) -> None:
    import numpy as np

    from kwsd.audio.file import FileSource
    from kwsd.audio.playback import play
    from kwsd.errors import AudioDataError, AudioUnavailableError

    try:
        play(np.concatenate([block.samples for block in FileSource(clip, paced=False).blocks()]))
    except AudioDataError as error:
        _say(str(error))
    except AudioUnavailableError as error:
        raise AudioUnavailableError(f"{error}; without sound there is  kwsd review --no-play") from None


def _conclude(words: int, others: int, folder: Path, into: Path) -> None:
    left = len(_clips(folder))
    print(f"sorted {words + others} into {into}: {words} as words, {others} as no keyword; {left} left in {folder}")
    if not words + others:
        return
    if not (into / "speech").is_dir():
        print(f"to train, {into} needs words, speech, noise and rooms beside these: see docs/training.md")
    print(f"next: kwsd-train fit --recipe default-round-1 --data {shlex.quote(str(into))}")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
