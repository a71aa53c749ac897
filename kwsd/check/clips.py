"""If the configuration enables clips, checks whether the daemon can save them."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from kwsd.check.finding import Finding, failed, ok
from kwsd.clips.clip import list_clips
from kwsd.clips.writer import prepare_clips_folder
from kwsd.config.schema import ClipsConfig
from kwsd.errors import ConfigError


def check_clips(wanted: ClipsConfig) -> Iterator[Finding]:
    """Check the folder for clips; if no folder is configured, yield no finding."""
    if not wanted.folder:
        return
    folder = Path(wanted.folder).expanduser()
    try:
        prepare_clips_folder(folder)
    except ConfigError as error:
        yield failed("clips", error, f"chmod 700 {shlex.quote(str(folder))}" if folder.is_dir() else "kwsd config")
    else:
        kept = len(list_clips(folder)) if folder.is_dir() else 0
        yield ok("clips", f"saving detections and near misses in {folder}: {kept} of at most {wanted.keep} clips")
