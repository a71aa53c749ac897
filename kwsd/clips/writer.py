"""The writer: clips become files, in a thread of its own, so that a slow disk never holds up the audio."""

import errno
import logging
import os
import stat
import threading
import wave
from pathlib import Path
from queue import Full, Queue

from kwsd.clips.clip import Clip, Name, clips_in
from kwsd.errors import ConfigError
from kwsd.frontend import SAMPLE_RATE

log = logging.getLogger(__name__)

WAITING_CLIPS = 16
"""Clips that wait for the disk: more are lost."""

CLOSE_S = 2.0
"""Longest wait for the disk at the end."""

SAMPLE_BYTES = 2

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class Writer:
    """Writes clips as 16-bit WAV files that only this user can read, and removes the oldest.

    Parameters
    ----------
    folder : Path
        It is made, for this user alone, if it is not there.
    keep : int
        Clips that are left in it, the newest.

    Attributes
    ----------
    written, lost : int
        Clips that were written, and that could not be.

    Raises
    ------
    ConfigError
        The folder cannot be made or written to, or is open to others.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.written = 0
        self.lost = 0
        self._keep = keep
        self._said = False
        prepare(folder)
        self._queue: Queue[Clip | None] = Queue(WAITING_CLIPS)
        self._thread = threading.Thread(target=self._run, name="kwsd-clips", daemon=True)
        self._thread.start()

    def put(self, clip: Clip) -> None:
        """Write a clip soon; it is lost when too many wait already."""
        try:
            self._queue.put_nowait(clip)
        except Full:
            self._lose("the disk is too slow")

    def close(self) -> None:
        """Write what waits, unless the disk hangs."""
        try:
            self._queue.put(None, timeout=CLOSE_S)
        except Full:
            return
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while clip := self._queue.get():
            try:
                _make(self.folder)
                _write(self.folder / str(Name.of(clip)), clip)
                for old in clips_in(self.folder)[: -self._keep]:
                    old.unlink(missing_ok=True)
                self.written += 1
            except OSError as error:
                self._lose(error.strerror or str(error))

    def _lose(self, reason: str) -> None:
        self.lost += 1
        if not self._said:
            self._said = True
            log.warning("a clip could not be kept in %s: %s; the status counts those that follow", self.folder, reason)


def prepare(folder: Path) -> None:
    """Make a folder for clips if it is not there.

    Raises
    ------
    ConfigError
        It cannot be made or written to, or is open to others.
    """
    try:
        _make(folder)
        found = folder.stat()
    except OSError as error:
        # A disk that is full at the moment is no reason to hear nothing.
        if error.errno in NO_ROOM:
            return
        raise ConfigError(f"cannot keep clips in {folder}: {error.strerror}") from None
    if found.st_uid != os.geteuid():
        raise ConfigError(f"cannot keep clips in {folder}: the folder belongs to another user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"cannot keep clips in {folder}: it is open to other users: name a new one, or chmod 700 it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot keep clips in {folder}: the folder cannot be written to")


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(path: Path, clip: Clip) -> None:
    """Write a clip under another name first, so that nobody finds half of one."""
    fresh = path.with_suffix(".new")
    samples = (clip.samples * 32768).round().clip(-32768, 32767).astype("<i2")
    try:
        with (
            os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
            wave.open(file, "wb") as sound,
        ):
            sound.setparams((1, SAMPLE_BYTES, SAMPLE_RATE, len(samples), "NONE", ""))
            sound.writeframes(samples.tobytes())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
