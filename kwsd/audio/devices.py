"""Input devices: what there is, and which one a name means."""

import threading
from dataclasses import dataclass
from typing import Any

from kwsd.errors import AudioUnavailableError

lock = threading.RLock()
"""Held by who opens, closes or looks for devices: PortAudio lets one thread at a time do so. Reading needs no lock."""

in_use: set[object] = set()
"""Streams that are open."""


@dataclass(frozen=True, slots=True)
class Device:
    """An input device as PortAudio sees it.

    Parameters
    ----------
    index : int
        Changes when devices come and go.
    name : str
    channels : int
        Inputs it has.
    rate : int
        Its default, in hertz.
    default : bool
    """

    index: int
    name: str
    channels: int
    rate: int
    default: bool


def portaudio() -> Any:  # noqa: ANN401  sounddevice has no type information
    """The sounddevice module.

    Raises
    ------
    AudioUnavailableError
        The PortAudio library is not installed.
    """
    try:
        import sounddevice  # noqa: PLC0415  loads the library, which may be missing
    except OSError:
        message = "the PortAudio library is missing: install it with  apt install libportaudio2"
        raise AudioUnavailableError(message) from None
    return sounddevice


def rescan() -> None:
    """Look for devices anew: PortAudio does so only when it starts.

    Starting it anew would end every open stream, so while there is one the devices stay as they were found.

    The names are private to sounddevice, whose author recommends them for this (python-sounddevice issue 125).

    Raises
    ------
    AudioUnavailableError
        The sound system does not let PortAudio start.
    """
    if in_use:
        return
    sounddevice = portaudio()
    try:
        sounddevice._terminate()  # noqa: SLF001
        sounddevice._initialize()  # noqa: SLF001
    except sounddevice.PortAudioError as error:
        raise AudioUnavailableError(f"PortAudio cannot look for devices: {error.args[0]}") from None


def input_devices() -> list[Device]:
    """All input devices.

    Raises
    ------
    AudioUnavailableError
        There is none, or no PortAudio.
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
    """The device that an index, a name or a part of a name means.

    Parameters
    ----------
    wanted : str
        ``default``, a number, or text; upper and lower case are the same.

    Raises
    ------
    AudioUnavailableError
        No device matches, or more than one does.
    """
    devices = input_devices()
    matching = _matching(devices, wanted)
    if not matching:
        raise AudioUnavailableError(f"there is no input device {wanted!r}: there are {_listed(devices)}")
    if len(matching) > 1:
        raise AudioUnavailableError(f"{wanted!r} could mean several input devices: {_listed(matching)}")
    return matching[0]


def named_device(name: str) -> Device:
    """The device with a whole name.

    Raises
    ------
    AudioUnavailableError
        There is none.
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
