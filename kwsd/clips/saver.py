"""Saves clips of detections and near misses if the user enabled clips."""

import logging
from pathlib import Path

from kwsd.bus.events import utc_now
from kwsd.clips.selector import ClipSelector
from kwsd.clips.writer import ClipWriter
from kwsd.config.schema import ClipsConfig
from kwsd.frontend import Float32
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.spotter import Spotter

log = logging.getLogger(__name__)


class ClipSaver:
    """Saves clips if the configuration contains a folder for clips; otherwise all methods do nothing.

    Raises
    ------
    ConfigError
        See `ClipWriter`.
    """

    def __init__(self, wanted: ClipsConfig) -> None:
        self._selector = ClipSelector()
        self._writer = ClipWriter(Path(wanted.folder).expanduser(), wanted.keep) if wanted.folder else None
        if self._writer:
            log.info(
                "saving audio of detections and near misses in %s, the newest %d clips",
                self._writer.folder,
                wanted.keep,
            )

    @property
    def on(self) -> bool:
        """Whether clips are saved. If clips are saved, the spotter must score every window."""
        return self._writer is not None

    @property
    def folder(self) -> str:
        """Folder of the clips; empty if clips are not saved."""
        return str(self._writer.folder) if self._writer else ""

    @property
    def written(self) -> int:
        """Number of clips that were written."""
        return self._writer.written if self._writer else 0

    @property
    def lost(self) -> int:
        """Number of clips that could not be written."""
        return self._writer.lost if self._writer else 0

    def feed(self, samples: Float32, spotter: Spotter, detections: list[Detection]) -> None:
        """Add the samples that a spotter has just processed; see `ClipSelector.feed`."""
        if self._writer:
            for clip in self._selector.feed(samples, spotter, detections, utc_now()):
                self._writer.put(clip)

    def reset(self) -> None:
        """Forget the previous audio, for example after a gap."""
        if self._writer:
            for clip in self._selector.reset():
                self._writer.put(clip)

    def close(self) -> None:
        """Write the clips in the queue, and stop the thread."""
        self.reset()
        if self._writer:
            self._writer.close()
