"""Opens the audio source that the option ``--device`` names, and reopens it after a loss."""

from kwsd.audio.source import CARD_MARK, FILE_PREFIX, Source


class Opener:
    """A callable object that opens the same device each time it is called.

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
        """Open the audio source and return it; see `open_source` for the errors."""
        again, self._again = self._again, True
        source = open_source(self._device, again=again, name=self._name)
        # After a loss the index may mean another device. And while a sound server is down, the default device may be a
        # sound card that the server needs to start again. So from now on only a device of this name is opened.
        if self._device.isdecimal() or (self._device == "default" and CARD_MARK not in source.name):
            self._name = source.name
        return source


def open_source(device: str, *, again: bool = False, name: str = "") -> Source:
    """Open the audio source that the option ``--device`` names.

    Parameters
    ----------
    device : str
        ``default``, the index of a device, a part of the name of a device, ``file:PATH`` or ``-``. A file is delivered
        in real time. The value ``-`` means standard input: a sound file or raw samples (signed 16 bit, little-endian,
        16 kHz, mono).
    again : bool
        Whether the source was open before the call. If the source was open before, PortAudio first searches for devices
        again.
    name : str
        Full name of the device, if only the device with this name may be opened.

    Raises
    ------
    AudioUnavailableError
        The device or the PortAudio library is missing.
    AudioDataError
        The sound file cannot be used.
    """
    # Imported on demand: a file does not need PortAudio, and a microphone does not need libsndfile.
    if device == "-":
        from kwsd.audio.pipe import PipeSource  # noqa: PLC0415

        return PipeSource()
    if device.startswith(FILE_PREFIX):
        from kwsd.audio.file import FileSource  # noqa: PLC0415

        return FileSource(device.removeprefix(FILE_PREFIX), paced=True)
    from kwsd.audio.devices import STREAMS, rescan  # noqa: PLC0415
    from kwsd.audio.microphone import Microphone  # noqa: PLC0415

    with STREAMS.lock:
        if again:
            rescan()
        return Microphone(device, name)
