"""Defines the command ``kwsd scan``."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from kwsd.cli.options import ConfigFile, Labels, ModelName, split_labels
from kwsd.errors import AudioDataError
from kwsd.log import print_data, print_error, print_line, print_message


def scan(
    files: Annotated[list[Path], typer.Argument(readable=False, help="Sound files: WAV, FLAC and others, any rate.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each detection: file, time_s, keyword, score.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Number of files scanned in parallel, each on its own core.")] = 1,
    model: ModelName = None,
    labels: Labels = None,
    config: ConfigFile = None,
) -> None:
    """Find keywords in sound files, with the pipeline and the configuration of the daemon.

    A file that cannot be read is reported, and the other files are still scanned; the exit code is then 65. After
    several files or a long file, a line on standard error reports the number of detections and the speed.
    """
    from kwsd.tuning.scan import ModelRequest, format_detection, format_scan_summary, scan_files, show_progress
    from kwsd.tuning.thresholds import is_long_enough_for_rate

    results = scan_files(files, ModelRequest(model, split_labels(labels), config), jobs)
    found, seconds, failed, started_s = 0, 0.0, False, time.monotonic()
    # Detections on the same terminal would break the bar apart.
    if len(files) > 1 and sys.stderr.isatty() and not sys.stdout.isatty():
        results = show_progress(results, len(files))
    write_row = print_data if as_json else print_line
    for file_scan, detections in results:
        for detection in detections:
            write_row(format_detection(file_scan.file, detection, as_json=as_json))
            found += 1
        if file_scan.error:
            print_error(file_scan.error)
            failed = True
        seconds += file_scan.seconds
    if len(files) > 1 or is_long_enough_for_rate(seconds):
        print_message(format_scan_summary(found, seconds, time.monotonic() - started_s))
    if failed:
        raise typer.Exit(AudioDataError.exit_code)
