"""A clip, and the name of its file, which contains the time, the keyword, the score and the kind."""

import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from kwsd.frontend import Float32

SUFFIX = ".wav"
FIRED, NEAR = "fired", "near"
TIME = "%Y%m%dT%H%M%S.%f"


class Clip(NamedTuple):
    """One second of audio, of a detection or of a near miss.

    Parameters
    ----------
    time : datetime
        End of the second, UTC.
    keyword : str
        The keyword that was detected or nearly detected.
    score : float
        Smoothed score at the end of the second.
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
    """The fields in the name of a clip's file; see `Clip`."""

    time: datetime.datetime
    keyword: str
    score: float
    kind: str

    @classmethod
    def from_clip(cls, clip: Clip) -> "ClipName":
        """The name of a clip."""
        return cls(*clip[:4])

    @classmethod
    def parse(cls, path: Path) -> "ClipName | None":
        """The fields in a file's name; None if the file is not a clip."""
        moment, _, rest = path.stem.partition("_")
        try:
            keyword, score, kind = rest.rsplit("_", 2)
            time = datetime.datetime.strptime(moment, f"{TIME}Z").replace(tzinfo=datetime.UTC)
            name = cls(time, unquote(keyword), float(score), kind)
        except ValueError:
            return None
        return name if path.suffix == SUFFIX and kind in {FIRED, NEAR} else None

    def __str__(self) -> str:
        """``20261125T091502.123Z_go_0.97_fired.wav``: the order by name is the order by time."""
        moment = self.time.strftime(TIME)[:-3]
        # A keyword may contain characters that a file name cannot, such as "/".
        return f"{moment}Z_{quote(self.keyword, safe=' ')}_{self.score:.2f}_{self.kind}{SUFFIX}"


def list_clips(folder: Path) -> list[Path]:
    """The clips in a folder, oldest first; other files are ignored."""
    return sorted(path for path in folder.iterdir() if ClipName.parse(path))
