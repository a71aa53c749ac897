"""Checks PortAudio, the sound server, the sound cards, the device, and the level of a three-second recording."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from kwsd.audio.capture import Arrival, Capture, Lost
from kwsd.audio.devices import input_devices, portaudio
from kwsd.audio.microphone import Microphone
from kwsd.audio.opening import open_source
from kwsd.audio.recording import take_audio
from kwsd.audio.silence import ONLY_ZEROS
from kwsd.audio.source import Source
from kwsd.check.finding import Finding, as_root, failed, ok, skipped, warning
from kwsd.check.sound_server import SoundServer, find_sound_server, sound_server_command
from kwsd.errors import AudioLostError, AudioUnavailableError, KwsdError
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.levels import QUIET_ROOM_DB, peak_db, rms_db
from kwsd.models.model import Model
from kwsd.pipeline.spotter import Spotter

CARDS = Path("/dev/snd")

RECORD_S = 3

CLIPPED, CLIPPED_SHARE = 0.999, 0.001
"""Minimum magnitude of a clipped sample (1 is full scale), and minimum share of clipped samples that causes a
warning."""

QUIET_DB = -55.0
"""Peak level below which a recording causes a warning, because nobody spoke near the microphone or its gain is too
low."""

BARS = "▁▂▃▄▅▆▇█"
BAR_S = 0.1
"""Seconds of audio that each bar of the level curve represents."""


def check_sound(device: str, model: Model | None, *, may_be_taken: bool) -> Iterator[Finding]:
    """Check a device and the parts of the system that the device needs, and record three seconds.

    Parameters
    ----------
    device : str
        As `kwsd.audio.opening.open_source` takes it.
    model : Model, optional
        Model that searches for keywords in the recording.
    may_be_taken : bool
        Whether a running daemon may be using the device exclusively.
    """
    if device == "-":
        yield skipped("device", "standard input cannot be checked before kwsd runs")
    elif device.startswith("file:"):
        yield from _check_device_and_level(device, model, None, may_be_taken=may_be_taken)
    else:
        yield from _check_sound_system(device, model, may_be_taken=may_be_taken)


def _check_sound_system(device: str, model: Model | None, *, may_be_taken: bool) -> Iterator[Finding]:
    try:
        server = find_sound_server()
    except AudioUnavailableError as error:
        yield failed("sound server", error, sound_server_command("restart"))
        # PortAudio looks for devices when it is loaded, and would wait forever for a frozen server.
        yield skipped("device", "not checked, because the sound server does not answer")
        return
    yield _check_server(server)
    yield check_sound_cards(CARDS, server)
    library = _check_portaudio()
    yield library
    if library.state == "failed":
        yield skipped("device", "not checked, because PortAudio is missing")
    else:
        yield from _check_device_and_level(device, model, server, may_be_taken=may_be_taken)


def _check_portaudio() -> Finding:
    try:
        version = portaudio().get_portaudio_version()[1]
    except AudioUnavailableError:
        missing = AudioUnavailableError("the library is missing or cannot be loaded")
        return failed("PortAudio", missing, as_root("apt install libportaudio2"))
    return ok("PortAudio", version.split(",")[0].removeprefix("PortAudio "))


def _check_server(server: SoundServer | None) -> Finding:
    if server is None:
        return warning(
            "sound server", "not running in this session: kwsd can only open sound cards", sound_server_command("start")
        )
    if server.monitor:
        text = f"{server.name}; the default source {server.source} records what the computer plays, not a microphone"
        return warning("sound server", text, _fix_source_command(server))
    return ok("sound server", f"{server.name}{server.source and f', default source {server.source}'}")


def check_sound_cards(folder: Path, server: SoundServer | None) -> Finding:
    """Check whether this user may open the inputs of the sound cards, or whether a sound server opens them."""
    inputs = sorted(folder.glob("pcmC*c"))
    closed = [path for path in inputs if not os.access(path, os.R_OK | os.W_OK, effective_ids=True)]
    if not inputs:
        return skipped("sound cards", "no card has an input")
    if closed and server is None:
        error = AudioUnavailableError(f"you may not open {closed[0]}: only members of the group audio may")
        return failed("sound cards", error, as_root("usermod -aG audio $USER") + "  # then log in again")
    through = " through the sound server" if closed else ""
    return ok("sound cards", f"{len(inputs)} with an input can be opened{through}")


def _check_device_and_level(
    device: str, model: Model | None, server: SoundServer | None, *, may_be_taken: bool
) -> Iterator[Finding]:
    try:
        source = open_source(device)
    except AudioUnavailableError as error:
        if may_be_taken:
            yield skipped("device", f"{error}; perhaps the running daemon uses the device exclusively")
        else:
            yield failed("device", error, _find_device_command(server))
        return
    except KwsdError as error:
        yield failed("device", error, "kwsd devices")
        return
    yield ok("device", _describe_source(source))
    try:
        samples = _record(source)
    except KwsdError as error:
        yield failed("level", error, sound_server_command("restart") if server else "kwsd devices")
    else:
        yield _check_level(samples, model, server)


def _find_device_command(server: SoundServer | None) -> str:
    try:
        input_devices()
    except AudioUnavailableError:
        if server is None:
            return sound_server_command("start") or "kwsd check  # again, when a microphone is connected"
        return as_root(f"apt install {'pipewire-alsa' if 'PipeWire' in server.name else 'libasound2-plugins'}")
    return "kwsd devices"


def _describe_source(source: Source) -> str:
    if not isinstance(source, Microphone):
        return f"{source.name} opens"
    converted = "" if source.rate == SAMPLE_RATE else f", converted to {SAMPLE_RATE} Hz"
    return f"{source.name} opens at {source.rate} Hz, channels: {source.channels}{converted}"


def _record(source: Source) -> Float32:
    """Record three seconds from a device, or read all of a shorter file.

    Raises
    ------
    AudioLostError
        The device does not deliver audio or was lost.
    AudioDataError
        The file is damaged.
    """
    blocks: list[Float32] = []
    with closing(Capture(lambda: source)) as capture:
        for item in take_audio(capture, live=source.live):
            if isinstance(item, Lost):
                raise AudioLostError(item.reason)
            if isinstance(item, Arrival):
                blocks.append(item.block.samples)
            if sum(map(len, blocks)) >= RECORD_S * SAMPLE_RATE:
                break
    return np.concatenate(blocks)


def _check_level(samples: Float32, model: Model | None, server: SoundServer | None) -> Finding:
    if not samples.any():
        return failed("level", AudioUnavailableError(ONLY_ZEROS), _fix_source_command(server))
    peak = peak_db(samples)
    text = f"{_draw_levels(samples)} {rms_db(samples):.0f} dB, peak {peak:.0f} dB{_name_keywords(samples, model)}"
    clipped = float(np.mean(np.abs(samples) >= CLIPPED))
    if clipped >= CLIPPED_SHARE:
        return warning(
            "level",
            f"{text}; {clipped:.1%} of the samples are at full scale: turn the input down",
            _volume_command(server, "-"),
        )
    if peak < QUIET_DB:
        return warning(
            "level", f"{text}; this is very quiet: come closer or turn the input up", _volume_command(server, "+")
        )
    return ok("level", text)


def _draw_levels(samples: Float32) -> str:
    """Return the levels over time as a line of bars."""
    levels = [rms_db(part) for part in np.array_split(samples, max(1, round(len(samples) / SAMPLE_RATE / BAR_S)))]
    heights = np.interp(levels, [QUIET_ROOM_DB, 0], [0, len(BARS) - 1]).round()
    return "".join(BARS[int(height)] for height in heights)


def _name_keywords(samples: Float32, model: Model | None) -> str:
    """Return the detected keywords as the end of a sentence; empty if none were detected."""
    if model is None:
        return ""
    spotter = Spotter(model)
    words = [detection.keyword for detection in spotter.feed(samples) + spotter.flush()]
    return f", detected: {' '.join(words)}" if words else ""


def _fix_source_command(server: SoundServer | None) -> str:
    """Return the command line that may help if the default source delivers only zeros."""
    if server and server.muted:
        return "pactl set-source-mute @DEFAULT_SOURCE@ 0"
    if server and server.monitor and server.microphones:
        return f"pactl set-default-source {server.microphones[0]}"
    if server and server.source:
        return "pactl list short sources"
    return "wpctl set-mute @DEFAULT_AUDIO_SOURCE@ 0" if shutil.which("wpctl") else "alsamixer"


def _volume_command(server: SoundServer | None, sign: str) -> str:
    return f"pactl set-source-volume @DEFAULT_SOURCE@ {sign}10%" if server and server.source else "alsamixer"
