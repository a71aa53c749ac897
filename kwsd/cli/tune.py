"""Defines the command ``kwsd tune``."""

import math
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from kwsd.cli.options import ConfigFile, Device, Labels, ModelName, split_labels
from kwsd.daemon.ending import INTERRUPT_EXIT_CODE
from kwsd.errors import UsageError
from kwsd.log import create_console, print_data, print_error, print_message, silence_libraries


def tune(
    files: Annotated[
        list[Path] | None,
        typer.Argument(readable=False, help="Recordings, instead of the microphone: WAV, FLAC and others, any rate."),
    ] = None,
    device: Device = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, metavar="S", help="Listen for S seconds instead of until Ctrl+C.")
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="WORD=NUMBER", help="Write this threshold for a keyword. May be repeated."),
    ] = None,
    false_alarms_per_hour: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Write thresholds that stay at or below this rate. The audio must not contain any keyword.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: the table, the chosen thresholds, the file.")
    ] = False,
    model: ModelName = None,
    labels: Labels = None,
    config: ConfigFile = None,
) -> None:
    """Show what different thresholds would detect, and write the thresholds that you choose to the configuration.

    kwsd tune listens until Ctrl+C, or reads recordings, and runs the daemon's pipeline once. With --set alone it
    writes without listening. The rest of the configuration file does not change.

    Example: kwsd tune evening.flac --set stop=0.9
    """
    from kwsd.tuning import choosing, listening, table, thresholds

    if chosen and false_alarms_per_hour is not None:
        raise UsageError("use either --set or --false-alarms-per-hour")
    if files and (device or seconds):
        raise UsageError("--device and --seconds are for listening: use them without files")
    flags = {"device": device, "model": model, "labels": split_labels(labels)}
    setup = choosing.load_tuning_setup(flags, config, chosen or [])
    if setup.wanted and not (files or device or seconds):
        choosing.write_choice(setup.model.detector, setup.wanted, config, _say)
        return
    if files:
        audio = listening.score_files(setup.model, _with_progress(files))
    else:
        source = listening.configured_device(setup.config)
        silence_libraries()
        with _first_ctrl_c() as pressed:
            audio = listening.score_device(setup.model, source, seconds or math.inf, pressed.is_set, _say)
    for error in audio.errors:
        print_error(str(error))
    if audio.scores is None:
        raise typer.Exit(audio.exit_code or INTERRUPT_EXIT_CODE)
    choice = choosing.choose_thresholds(audio.scores, setup.model.detector, setup.wanted, false_alarms_per_hour, _say)
    counts = thresholds.tabulate_thresholds(audio.scores, setup.model.detector)
    if not as_json:
        table.print_threshold_table(counts, choice)
    path = choosing.write_choice(setup.model.detector, choice.thresholds, config, _say) if choice else None
    if as_json:
        print_data(table.format_tuning_json(counts, choice, path))
    elif choice is None:
        _say("to choose:  kwsd tune --set WORD=NUMBER")
    raise typer.Exit(audio.exit_code)


def _with_progress(files: list[Path]) -> Iterable[Path]:
    """Yield the files one after the other, and show a progress bar on a terminal."""
    from rich.progress import track

    console = create_console(stderr=True)
    return track(files, "scoring", console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def _first_ctrl_c() -> Iterator[threading.Event]:
    """Set an event at the first Ctrl+C, which ends only the recording of audio.

    The second Ctrl+C ends the whole command.
    """
    pressed = threading.Event()

    def press(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, press)
    yield pressed
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _say(message: str) -> None:
    print_message(message)
