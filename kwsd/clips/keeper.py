"""The keeper: what the daemon tells of its audio when clips are wanted, and when they are not."""

import logging
from pathlib import Path

from kwsd.bus.events import utc_now
from kwsd.clips.picker import Picker
from kwsd.clips.writer import Writer
from kwsd.config.schema import ClipsConfig
from kwsd.frontend import Float32
from kwsd.pipeline.detector import Detection
from kwsd.pipeline.spotter import Spotter

log = logging.getLogger(__name__)


class Keeper:
    """Keeps clips if the configuration says so; does nothing otherwise.

    Parameters
    ----------
    wanted : Clips

    Raises
    ------
    ConfigError
        As `Writer`.
    """

    def __init__(self, wanted: ClipsConfig) -> None:
        self._picker = Picker()
        self._writer = Writer(Path(wanted.folder).expanduser(), wanted.keep) if wanted.folder else None
        if self._writer:
            log.info(
                "audio of detections and near misses is kept in %s, the newest %d", self._writer.folder, wanted.keep
            )

    @property
    def on(self) -> bool:
        """Whether clips are kept; the spotter must then be attentive."""
        return self._writer is not None

    @property
    def folder(self) -> str:
        """Where clips are kept; empty when none are."""
        return str(self._writer.folder) if self._writer else ""

    @property
    def written(self) -> int:
        """Clips kept so far."""
        return self._writer.written if self._writer else 0

    @property
    def lost(self) -> int:
        """Clips that could not be."""
        return self._writer.lost if self._writer else 0

    def hear(self, samples: Float32, spotter: Spotter, detections: list[Detection]) -> None:
        """Take what a spotter has just been fed with; see `Picker.hear`."""
        if self._writer:
            for clip in self._picker.hear(samples, spotter, detections, utc_now()):
                self._writer.put(clip)

    def reset(self) -> None:
        """Begin anew, as after a gap."""
        if self._writer:
            for clip in self._picker.reset():
                self._writer.put(clip)

    def close(self) -> None:
        """Write what is left."""
        self.reset()
        if self._writer:
            self._writer.close()
