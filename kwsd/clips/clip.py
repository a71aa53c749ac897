"""Defines a clip and the name of its file, which contains the time, the keyword, the score and the kind."""

import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from kwsd.frontend import Float32

SUFFIX = ".wav"
FIRED, NEAR = "fired", "near"
TIME = "%Y%m%dT%H%M%S.%f"


class Clip(NamedTuple):
    """One second of audio that contains a detection or a near miss.

    Parameters
    ----------
    time : datetime
        Time of the end of the clip, in UTC.
    keyword : str
        Keyword that was detected or nearly detected.
    score : float
        Smoothed score of the keyword at the end of the clip.
    kind : {"fired", "near"}
        Detection or near miss.
    samples : ndarray, shape (16000,), float32 in [-1, 1]
        The audio.
    """

    time: datetime.datetime
    keyword: str
    score: float
    kind: str
    samples: Float32


class ClipName(NamedTuple):
    """The fields in the file name of a clip; see `Clip`."""

    time: datetime.datetime
    keyword: str
    score: float
    kind: str

    @classmethod
    def from_clip(cls, clip: Clip) -> "ClipName":
        """Return the fields of the file name of a clip."""
        return cls(*clip[:4])

    @classmethod
    def parse(cls, path: Path) -> "ClipName | None":
        """Return the fields in the name of a file; None if the file is not a clip."""
        moment, _, rest = path.stem.partition("_")
        try:
            keyword, score, kind = rest.rsplit("_", 2)
            time = datetime.datetime.strptime(moment, f"{TIME}Z").replace(tzinfo=datetime.UTC)
            name = cls(time, unquote(keyword), float(score), kind)
        except ValueError:
            return None
        return name if path.suffix == SUFFIX and kind in {FIRED, NEAR} else None

    def __str__(self) -> str:
        """Return a file name that sorts by time, for example ``20261125T091502.123Z_go_0.97_fired.wav``."""
        moment = self.time.strftime(TIME)[:-3]
        # A keyword may contain characters that a file name cannot, such as "/".
        return f"{moment}Z_{quote(self.keyword, safe=' ')}_{self.score:.2f}_{self.kind}{SUFFIX}"


def list_clips(folder: Path) -> list[Path]:
    """Return the clips in a folder, oldest first; other files are ignored."""
    return sorted(path for path in folder.iterdir() if ClipName.parse(path))
