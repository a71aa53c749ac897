"""Finds keywords in sound files, either one file after the other or several files in parallel processes."""

import json
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from rich.progress import Progress

from kwsd.audio.file import FileSource
from kwsd.audio.reader import printable
from kwsd.config.load import load_config
from kwsd.errors import AudioDataError, KwsdError
from kwsd.frontend import SAMPLE_RATE
from kwsd.log import create_console
from kwsd.models.find import configured_model
from kwsd.models.model import Model
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.spotter import Spotter
from kwsd.tuning.thresholds import is_long_enough_for_rate


class ModelRequest(NamedTuple):
    """The command line options that select a model.

    Parallel processes receive these options, and each process loads the model itself.

    Parameters
    ----------
    model : str, optional
        Model that overrides the model of the configuration.
    labels : tuple of str, optional
        Labels that override the labels of the configuration.
    config : Path, optional
        Configuration file to use instead of the default files.
    """

    model: str | None
    labels: tuple[str, ...] | None
    config: Path | None


class FileScan:
    """The result of scanning one sound file.

    Attributes
    ----------
    file : Path
        The sound file.
    seconds : float
        Length of the audio that has been read so far, in seconds.
    error : str
        Error message if the file could not be read to its end. Without an error, the text is empty.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seconds = 0.0
        self.error = ""

    def find_keywords(self, model: Model) -> Iterator[Detection]:
        """Return the detections in the file, or in the readable part of a damaged file."""
        spotter = Spotter(model)
        try:
            for block in FileSource(self.file, paced=False).blocks():
                self.seconds += len(block.samples) / SAMPLE_RATE
                yield from spotter.feed(block.samples)
        except AudioDataError as error:
            self.error = str(error)
        yield from spotter.flush()


ScanResult = tuple[FileScan, Iterable[Detection]]
"""Return the scan of a file, and an iterator over its detections. The attributes of the scan are final after the
iterator has returned all detections."""


def scan_files(files: list[Path], request: ModelRequest, jobs: int) -> Iterator[ScanResult]:
    """Scan sound files, and return the results in the order of the files.

    Parameters
    ----------
    jobs : int
        Number of files that are scanned at one time, each in a separate process. If the number is 1, the files are
        scanned in the current process.

    Raises
    ------
    ConfigError
        The configuration is invalid.
    ModelError
        The selected model cannot be used.
    KwsdError
        One of the parallel processes was killed. The iterator raises this error.
    """
    model = _load_model(request)
    return _scan_in_turn(files, model) if jobs == 1 else _scan_in_parallel(files, request, min(jobs, len(files)))


def show_progress(results: Iterator[ScanResult], count: int) -> Iterator[ScanResult]:
    """Yield the results unchanged, and show a progress bar on standard error."""
    with Progress(console=create_console(stderr=True), transient=True, redirect_stdout=False) as progress:
        yield from progress.track(results, count, description="scanning")


def format_detection(file: Path, detection: Detection, *, as_json: bool) -> str:
    """Format a detection as one line: either a JSON object, or text for people."""
    if not as_json:
        return f"{printable(file)}  {detection.time_s:8.2f} s  {detection.keyword:<10} {detection.score:.2f}"
    row = {
        "file": printable(file),
        "time_s": detection.time_s,
        "keyword": detection.keyword,
        "score": round(detection.score, 4),
    }
    return json.dumps(row)


def format_scan_summary(found: int, seconds: float, taken_s: float) -> str:
    """Return a line with the number of detections, the rate of detections, and the speed of the scan.

    If the audio is too short, the line does not contain the rate.

    Parameters
    ----------
    found : int
        Number of detections in all files.
    seconds : float
        Length of the scanned audio, in seconds.
    taken_s : float
        Duration of the scan in seconds.
    """
    speed = f"{seconds / taken_s:.0f} times real time"
    if not is_long_enough_for_rate(seconds):
        return f"{found} detections in {seconds:.0f} s of audio, {speed}"
    return f"{found} detections in {seconds / 3600:.2f} h of audio, {found * 3600 / seconds:.1f} per hour, {speed}"


def _scan_in_turn(files: list[Path], model: Model) -> Iterator[ScanResult]:
    """Yield scans whose files are read while the caller iterates over the detections."""
    return ((scan, scan.find_keywords(model)) for scan in map(FileScan, files))


def _scan_in_parallel(files: list[Path], request: ModelRequest, jobs: int) -> Iterator[ScanResult]:
    """Yield scans that other processes have completed."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_end_silently_on_ctrl_c) as pool:
        # A terminal sends Ctrl+C to all processes. Until the initializer runs, it would end a process with a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            scans = {file: pool.submit(_scan_file, request, file) for file in files if _is_shareable(file)}
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            for file in files:
                yield scans[file].result() if file in scans else _scan_file(request, file)
        except BrokenProcessPool:
            raise KwsdError("one of the scanning processes was killed") from None


def _is_shareable(file: Path) -> bool:
    """Whether another process can open the file. This excludes pipes and standard input, for example /dev/stdin."""
    return file.is_file() and not str(file.absolute()).startswith(("/dev/", "/proc/"))


def _end_silently_on_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _scan_file(request: ModelRequest, file: Path) -> ScanResult:
    scan = FileScan(file)
    return scan, list(scan.find_keywords(_load_model(request)))


@cache
def _load_model(request: ModelRequest) -> Model:
    flags = {"model": request.model, "labels": request.labels and list(request.labels)}
    return configured_model(load_config(flags, request.config).config)
