"""Lists the input devices, and finds the input device with a given name."""

import os
import threading
from dataclasses import dataclass
from typing import Any

from kwsd.errors import AudioUnavailableError

NAME = "application.name"
"""The property of an audio stream that mixers display."""


class StreamRegistry:
    """Registry of the open streams of this process.

    PortAudio allows only one thread at a time to open or close streams, or to search for devices. A thread that opens
    or closes streams, or searches for devices, must hold `lock`. A thread that only reads does not need the lock.
    PortAudio can search for devices again only while no stream is open.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._open: set[object] = set()

    def add(self, stream: object) -> None:
        """Add an open stream to the registry."""
        self._open.add(stream)

    def close(self, stream: Any) -> None:  # noqa: ANN401  sounddevice has no type information
        """Close a stream."""
        with self.lock:
            self._open.discard(stream)
            stream.close(ignore_errors=True)

    @property
    def any_open(self) -> bool:
        """Whether a stream is open."""
        return bool(self._open)


STREAMS = StreamRegistry()


@dataclass(frozen=True, slots=True)
class Device:
    """An input device that PortAudio reports.

    Parameters
    ----------
    index : int
        Index of the device, which can change when a device is connected or disconnected.
    channels : int
        Number of input channels.
    rate : int
        Default sampling rate, in hertz.
    default : bool
        Whether this is the default input device.
    """

    index: int
    name: str
    channels: int
    rate: int
    default: bool


def portaudio() -> Any:  # noqa: ANN401  sounddevice has no type information
    """Return the sounddevice module.

    Raises
    ------
    AudioUnavailableError
        The PortAudio library is not installed.
    """
    _name_streams()
    try:
        import sounddevice  # noqa: PLC0415  loads the library, which may be missing
    except OSError:
        message = "the PortAudio library is missing: install it with  apt install libportaudio2"
        raise AudioUnavailableError(message) from None
    return sounddevice


def _name_streams() -> None:
    """Make mixers show this program as "kwsd" instead of "ALSA plug-in [python3.11]".

    A name that the user has set in the environment is kept. The environment variables belong to libpulse and to the
    ALSA plugin of PipeWire.
    """
    named = NAME in os.environ.get("PULSE_PROP", "") + os.environ.get("PULSE_PROP_OVERRIDE", "")
    if not named:
        os.environ["PULSE_PROP_OVERRIDE"] = f"{os.environ.get('PULSE_PROP_OVERRIDE', '')} {NAME}=kwsd".lstrip()
    os.environ.setdefault("PIPEWIRE_ALSA", f"{{ {NAME} = kwsd }}")


def rescan() -> None:
    """Search for devices again by restarting PortAudio, which searches only when it starts.

    A restart of PortAudio would end every open stream. Therefore the list of devices does not change while a stream is
    open.

    The function calls two private functions, which the author of sounddevice recommends (python-sounddevice issue 125).

    Raises
    ------
    AudioUnavailableError
        PortAudio cannot start.
    """
    if STREAMS.any_open:
        return
    sounddevice = portaudio()
    try:
        sounddevice._terminate()  # noqa: SLF001
        sounddevice._initialize()  # noqa: SLF001
    except sounddevice.PortAudioError as error:
        raise AudioUnavailableError(f"PortAudio cannot search for devices: {error.args[0]}") from None


def input_devices() -> list[Device]:
    """Return all input devices.

    Raises
    ------
    AudioUnavailableError
        An input device was not found, or PortAudio is missing.
    """
    sounddevice = portaudio()
    try:
        listed = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        raise AudioUnavailableError(f"PortAudio cannot list devices: {error.args[0]}") from None
    found = [_device(info) for info in listed if info["max_input_channels"] > 0]
    if not found:
        raise AudioUnavailableError(
            "there is no input device: connect a microphone, or start a sound server"
            " (PipeWire needs the package pipewire-alsa, PulseAudio libasound2-plugins)"
        )
    default = _default_index(sounddevice, found)
    return [Device(d.index, d.name, d.channels, d.rate, default=d.index == default) for d in found]


def find_device(wanted: str) -> Device:
    """Return the device that matches an index, a name or a part of a name.

    Parameters
    ----------
    wanted : str
        ``default``, the index of a device, or the name of a device or a part of the name. Case does not matter.

    Raises
    ------
    AudioUnavailableError
        None of the devices matches the name, or several devices match the name.
    """
    devices = input_devices()
    matching = _matching(devices, wanted)
    if not matching:
        raise AudioUnavailableError(f"there is no input device {wanted!r}: there are {_listed(devices)}")
    if len(matching) > 1:
        raise AudioUnavailableError(f"{wanted!r} could mean several input devices: {_listed(matching)}")
    return matching[0]


def named_device(name: str) -> Device:
    """Return the device with exactly the given name.

    Raises
    ------
    AudioUnavailableError
        No device has the given name.
    """
    devices = input_devices()
    found = next((device for device in devices if device.name == name), None)
    if not found:
        raise AudioUnavailableError(f"the input device {name!r} is not there: there are {_listed(devices)}")
    return found


def _device(info: dict[str, Any]) -> Device:
    index, channels, rate = int(info["index"]), info["max_input_channels"], round(info["default_samplerate"])
    return Device(index, info["name"], channels, rate, default=False)


def _matching(devices: list[Device], wanted: str) -> list[Device]:
    if wanted == "default":
        return [device for device in devices if device.default]
    if wanted.isdecimal():
        return [device for device in devices if device.index == int(wanted)]
    folded = wanted.casefold()
    exact = [device for device in devices if device.name.casefold() == folded]
    return exact or [device for device in devices if folded in device.name.casefold()]


def _default_index(sounddevice: Any, devices: list[Device]) -> int:  # noqa: ANN401
    index = int(sounddevice.default.device[0])
    return index if index >= 0 else devices[0].index


def _listed(devices: list[Device]) -> str:
    return ", ".join(f"{device.index} ({device.name})" for device in devices)
