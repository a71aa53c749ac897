"""Sources of audio behind one small interface: the microphone, a file, and raw samples on standard input."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from kwsd.frontend import Float32

BLOCK_SAMPLES = 1280
"""Samples (16 kHz) in a block: one hop of the bundled models, so that a block completes a window as it arrives."""

FILE = "file:"

CARD = "(hw:"
"""Stands before the number of a sound card in its name at PortAudio; the number may be another when it is plugged in
again. The devices of sound servers have none."""


class Block(NamedTuple):
    """Samples as they arrive.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
    gap : bool
        Whether audio was lost just before this block.
    joined : int
        How many blocks it is, one after the other.
    """

    samples: Float32
    gap: bool = False
    joined: int = 1


class Source(Protocol):
    """Where blocks come from.

    Attributes
    ----------
    name : str
        For people and for events.
    live : bool
        Whether audio is lost when it is not fetched in time.
    joined : int
        How many blocks a live source shall deliver next, as one; set by who takes them. More than it can keep it joins
        only as long as they hold nothing but zeros.
    active_s : float
        ``time.monotonic()`` when a live source last got audio, also such that it still keeps to join it.
    """

    name: str
    live: bool
    joined: int
    active_s: float

    def blocks(self) -> Iterator[Block]:
        """Blocks until the source ends or is closed.

        Raises
        ------
        AudioDataError
            The audio ended otherwise than it should; all that was usable has been yielded.
        AudioLostError
            The device went away.
        """

    def close(self) -> None:
        """Stop; `blocks` ends soon, also in another thread."""


def is_live(device: str) -> bool:
    """Whether what ``--device`` names is a microphone, whose audio is lost when it is not fetched in time."""
    return device != "-" and not device.startswith(FILE)


class Opener:
    """Opens what ``--device`` names, and opens it again after it was lost.

    Parameters
    ----------
    device : str
        As for `open_source`.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._again = False
        self._name = ""

    def __call__(self) -> Source:
        """The source, open; raises what `open_source` raises."""
        again, self._again = self._again, True
        source = open_source(self._device, again=again, name=self._name)
        # An index means another device, and while a sound server is gone the default may be a card that it will need.
        if self._device.isdecimal() or (self._device == "default" and CARD not in source.name):
            self._name = source.name
        return source


def open_source(device: str, *, again: bool = False, name: str = "") -> Source:
    """Open what ``--device`` names.

    Parameters
    ----------
    device : str
        ``default``, a device's index or a part of its name, ``file:PATH`` (played at the pace of real time), or ``-``
        for raw signed 16-bit little-endian samples, 16 kHz mono, on standard input.
    again : bool
        Whether it has been looked for before: devices are then looked for anew.
    name : str
        The whole name that the device had: no other is opened.

    Raises
    ------
    AudioUnavailableError
        There is no such device, or no PortAudio.
    AudioDataError
        The file cannot be used.
    """
    # Each source is imported on demand: a file needs no PortAudio, a microphone no libsndfile.
    if device == "-":
        from kwsd.sources.pipe import PipeSource  # noqa: PLC0415

        return PipeSource()
    if device.startswith(FILE):
        from kwsd.sources.file import FileSource  # noqa: PLC0415

        return FileSource(device.removeprefix(FILE), paced=True)
    from kwsd.sources.devices import lock, rescan  # noqa: PLC0415
    from kwsd.sources.microphone import Microphone  # noqa: PLC0415

    with lock:
        if again:
            rescan()
        return Microphone(device, name)
