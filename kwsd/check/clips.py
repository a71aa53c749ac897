"""Clips: whether the daemon is told to keep any, and can."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from kwsd.check.finding import Finding, failed, ok
from kwsd.clips.clip import list_clips
from kwsd.clips.writer import prepare_clips_folder
from kwsd.config.schema import ClipsConfig
from kwsd.errors import ConfigError


def clips(wanted: ClipsConfig) -> Iterator[Finding]:
    """A finding, where clips are wanted."""
    if not wanted.folder:
        return
    folder = Path(wanted.folder).expanduser()
    try:
        prepare_clips_folder(folder)
    except ConfigError as error:
        yield failed("clips", error, f"chmod 700 {shlex.quote(str(folder))}" if folder.is_dir() else "kwsd config")
    else:
        kept = len(list_clips(folder)) if folder.is_dir() else 0
        yield ok("clips", f"detections and near misses are recorded: {kept} of at most {wanted.keep} in {folder}")
