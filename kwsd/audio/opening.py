"""Opens what ``--device`` names, and opens it again after it was lost."""

from kwsd.audio.source import CARD, FILE, Source


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
        from kwsd.audio.pipe import PipeSource  # noqa: PLC0415

        return PipeSource()
    if device.startswith(FILE):
        from kwsd.audio.file import FileSource  # noqa: PLC0415

        return FileSource(device.removeprefix(FILE), paced=True)
    from kwsd.audio.devices import lock, rescan  # noqa: PLC0415
    from kwsd.audio.microphone import Microphone  # noqa: PLC0415

    with lock:
        if again:
            rescan()
        return Microphone(device, name)
