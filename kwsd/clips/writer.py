"""Writes clips to files in a separate thread, so a slow disk does not delay the audio."""

import errno
import logging
import os
import stat
import threading
import wave
from contextlib import suppress
from pathlib import Path
from queue import Full, Queue

from kwsd.clips.clip import SUFFIX, Clip, ClipName
from kwsd.errors import ConfigError
from kwsd.frontend import SAMPLE_RATE

log = logging.getLogger(__name__)

WAITING_CLIPS = 16
"""Maximum number of clips in the queue. When the queue is full, new clips are dropped and counted."""

CLOSE_S = 2.0
"""Maximum wait, in seconds, until the clips in the queue are written when the daemon ends."""

SAMPLE_BYTES = 2

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class ClipWriter:
    """Writes clips as 16-bit WAV files that only this user can read, and deletes the oldest clips.

    Parameters
    ----------
    folder : Path
        Folder of the clips; if the folder does not exist, it is created with access for this user only.
    keep : int
        Maximum number of clips in the folder; older clips are deleted.

    Attributes
    ----------
    written, lost : int
        Number of clips that were written, and number of clips that could not be written.

    Raises
    ------
    ConfigError
        The folder cannot be created or written to, or other users can open it.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.written = 0
        self.lost = 0
        self._keep = keep
        self._warned = False
        prepare_clips_folder(folder)
        self._queue: Queue[Clip | None] = Queue(WAITING_CLIPS)
        self._thread = threading.Thread(target=self._run, name="kwsd-clips", daemon=True)
        self._thread.start()

    def put(self, clip: Clip) -> None:
        """Put a clip into the queue, or drop the clip if the queue is full."""
        try:
            self._queue.put_nowait(clip)
        except Full:
            self._lose("the disk is too slow")

    def close(self) -> None:
        """Write the clips in the queue, and stop the thread.

        If the disk hangs, the method returns before the clips are written.
        """
        try:
            self._queue.put(None, timeout=CLOSE_S)
        except Full:
            return
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while clip := self._queue.get():
            try:
                self._save(clip)
                self.written += 1
            except OSError as error:
                self._lose(error.strerror or str(error))
            except ConfigError as error:
                self._lose(str(error))

    def _save(self, clip: Clip) -> None:
        """Write a clip to its file, and delete the oldest clips above the limit.

        All files are written and deleted only in the folder that was checked.
        """
        folder = _open_private_folder(self.folder)
        try:
            _write_file(folder, str(ClipName.from_clip(clip)), clip)
            names = os.listdir(folder)  # noqa: PTH208  a path could lead to another folder by now
            for old in sorted(name for name in names if ClipName.parse(Path(name)))[: -self._keep]:
                with suppress(FileNotFoundError):
                    os.unlink(old, dir_fd=folder)
        finally:
            os.close(folder)

    def _lose(self, reason: str) -> None:
        self.lost += 1
        if not self._warned:
            self._warned = True
            log.warning(
                "cannot save a clip in %s: %s; further lost clips are only counted in the status", self.folder, reason
            )


def prepare_clips_folder(folder: Path) -> None:
    """Create a folder for clips if it does not exist, and check that only this user can open it.

    Raises
    ------
    ConfigError
        The folder cannot be created or written to, or other users can open it.
    """
    try:
        os.close(_open_private_folder(folder))
    except ConfigError as error:
        raise ConfigError(f"cannot save clips in {folder}: {error}") from None
    except OSError as error:
        # The disk may have room later, and a full disk must not stop the detection of keywords.
        if error.errno in NO_ROOM:
            return
        raise ConfigError(f"cannot save clips in {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot save clips in {folder}: the folder cannot be written to")


def _open_private_folder(folder: Path) -> int:
    """Create a folder if it does not exist, and return its file descriptor if only this user can open the folder.

    Raises
    ------
    ConfigError
        The folder belongs to another user, or other users can open it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    found, fault = os.fstat(descriptor), ""
    if found.st_uid != os.geteuid():
        fault = "the folder belongs to another user"
    elif stat.S_IMODE(found.st_mode) & 0o077:
        fault = "other users can open it: choose a new folder, or run chmod 700 on it"
    if fault:
        os.close(descriptor)
        raise ConfigError(fault)
    return descriptor


def _write_file(folder: int, name: str, clip: Clip) -> None:
    """Write a clip under a temporary name first, so other programs never see an incomplete file."""
    fresh = f"{name.removesuffix(SUFFIX)}.new"
    samples = (clip.samples * 32768).round().clip(-32768, 32767).astype("<i2")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with (
            os.fdopen(os.open(fresh, flags, 0o600, dir_fd=folder), "wb") as file,
            wave.open(file, "wb") as sound,
        ):
            sound.setparams((1, SAMPLE_BYTES, SAMPLE_RATE, len(samples), "NONE", ""))
            sound.writeframes(samples.tobytes())
        os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
