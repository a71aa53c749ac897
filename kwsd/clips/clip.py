"""A clip, and the name of its file, which says what it is."""

import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from kwsd.frontend import Float32

SUFFIX = ".wav"
FIRED, NEAR = "fired", "near"
TIME = "%Y%m%dT%H%M%S.%f"


class Clip(NamedTuple):
    """The second of audio of a detection or of a near miss.

    Parameters
    ----------
    time : datetime
        End of the second, UTC.
    keyword : str
    score : float
        Smoothed score at the end of the second.
    kind : {"fired", "near"}
        Whether it was detected.
    samples : ndarray, shape (16000,), float32 in [-1, 1]
    """

    time: datetime.datetime
    keyword: str
    score: float
    kind: str
    samples: Float32


class Name(NamedTuple):
    """What the name of a clip's file says; for the fields see `Clip`."""

    time: datetime.datetime
    keyword: str
    score: float
    kind: str

    @classmethod
    def of(cls, clip: Clip) -> "Name":
        """The name of a clip."""
        return cls(*clip[:4])

    @classmethod
    def parse(cls, path: Path) -> "Name | None":
        """What a file's name says; None when it is no clip's."""
        moment, _, rest = path.stem.partition("_")
        try:
            keyword, score, kind = rest.rsplit("_", 2)
            time = datetime.datetime.strptime(moment, f"{TIME}Z").replace(tzinfo=datetime.UTC)
            name = cls(time, unquote(keyword), float(score), kind)
        except ValueError:
            return None
        return name if path.suffix == SUFFIX and kind in {FIRED, NEAR} else None

    def __str__(self) -> str:
        """``20261125T091502.123Z_go_0.97_fired.wav``: sorted by name, clips are sorted by time."""
        # A keyword may hold what no name of a file can.
        moment = self.time.strftime(TIME)[:-3]
        return f"{moment}Z_{quote(self.keyword, safe=' ')}_{self.score:.2f}_{self.kind}{SUFFIX}"


def clips_in(folder: Path) -> list[Path]:
    """The clips in a folder, oldest first; other files are left out."""
    return sorted(path for path in folder.iterdir() if Name.parse(path))
