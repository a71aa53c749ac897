"""Defines the command ``kwsd review``."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from kwsd.errors import UsageError
from kwsd.log import print_lines, print_message, silence_libraries


def review(
    folder: Annotated[Path, typer.Argument(help="Folder in which `kwsd run --save-clips` saves clips.")],
    into: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Data folder of `kwsd-train`; created if it does not exist.")
    ],
    no_play: Annotated[bool, typer.Option("--no-play", help="Do not play the clips.")] = False,
) -> None:
    """Play the saved clips, ask what was said, and move each clip to where training finds it.

    The last line is the command that trains on the clips. Skipped clips stay, as do all clips after q.
    """
    from kwsd.clips.review import ClipReview, format_review_summary

    silence_libraries()
    if sys.stdin is None:
        raise UsageError("kwsd review reads your answers from standard input, which is closed")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    dialogue = ClipReview(folder, into, sound=not no_play)
    if not dialogue.list_clips():
        print_message(
            f"there are no clips in {folder}; to save some:  kwsd run --save-clips {shlex.quote(str(folder))}"
        )
        return
    print_lines(format_review_summary(dialogue.run(), folder, into))
