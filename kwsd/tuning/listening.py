"""Scores the audio for ``kwsd tune``, which comes from recordings or from a device."""

import math
import shlex
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from kwsd.audio.capture import Arrival, Capture, Opened
from kwsd.audio.file import FileSource
from kwsd.audio.opening import Opener
from kwsd.audio.recording import take_audio
from kwsd.audio.source import Block, is_live
from kwsd.config.schema import Config
from kwsd.errors import AudioDataError, KwsdError, UsageError
from kwsd.models.model import Model
from kwsd.tuning.scoring import RecordingScores, Scorer


class ScoredAudio(NamedTuple):
    """The scores of recordings or device audio, and the errors that occurred.

    Parameters
    ----------
    scores : RecordingScores or None
        Scores of the audio; None if there was no audio.
    errors : list of KwsdError
        Errors: one for each file that could not be read to its end, or the error with which the device ended.
    """

    scores: RecordingScores | None
    errors: list[KwsdError]

    @property
    def exit_code(self) -> int:
        """Exit code of the last error, or 0 if no error occurred."""
        return self.errors[-1].exit_code if self.errors else 0


def score_files(model: Model, files: Iterable[Path]) -> ScoredAudio:
    """Score recordings. If a recording is damaged, its readable part is scored."""
    scorer, errors = Scorer(model), list[KwsdError]()
    for file in files:
        try:
            for block in FileSource(file, paced=False).blocks():
                scorer.feed(block.samples)
        except AudioDataError as error:
            errors.append(error)
        scorer.end()
    return ScoredAudio(scorer.scored() if scorer.seconds else None, errors)


def score_device(
    model: Model, device: str, seconds: float, stopped: Callable[[], bool], report: Callable[[str], None]
) -> ScoredAudio:
    """Score the audio of a device until the time is over, `stopped` returns True, or the device stops delivering audio.

    Parameters
    ----------
    device : str
        Audio device, in the format of `kwsd.audio.opening.open_source`.
    seconds : float
        Maximum number of seconds to listen; may be infinite.
    stopped : callable
        Function that is called at least ten times per second. If the function returns True, listening ends.
    report : callable
        Function that is called with a line of text for each detection and for each change of the device.
    """
    scorer, errors = Scorer(model), list[KwsdError]()
    limit = "until Ctrl+C" if seconds == math.inf else f"for {seconds:g} s, or until Ctrl+C"
    with closing(Capture(Opener(device))) as capture:
        try:
            for item in take_audio(capture, live=is_live(device), stopped=stopped):
                if isinstance(item, Opened):
                    report(f"listening to {item.name} {limit}; detections with the thresholds in force:")
                elif isinstance(item, Arrival):
                    _score_block(scorer, item.block, report)
                    if scorer.seconds >= seconds:
                        break
                else:
                    report(f"{item.reason}: waiting for the device")
        except KwsdError as error:
            # The audio up to here is worth a table.
            errors.append(error)
    if not scorer.seconds:
        return ScoredAudio(None, errors)
    scorer.end()
    return ScoredAudio(scorer.scored(), errors)


def configured_device(config: Config) -> str:
    """Return the device of the only stream in a configuration.

    Raises
    ------
    UsageError
        The configuration contains several streams.
    """
    first, *others = config.streams()
    if others:
        choices = ", ".join(f"{shlex.quote(stream.device)} ({stream.name})" for stream in (first, *others))
        raise UsageError(f"the configuration has several streams: choose one with --device: {choices}")
    return first.device


def _score_block(scorer: Scorer, block: Block, report: Callable[[str], None]) -> None:
    if block.gap:
        scorer.end()
    for detection in scorer.feed(block.samples):
        report(f"{timedelta(seconds=int(scorer.seconds))}  {detection.keyword:<10} {detection.score:.2f}")
