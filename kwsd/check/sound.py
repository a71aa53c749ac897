"""Sound: the library, the server, the cards, the device, and three seconds of what it hears."""

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
from kwsd.check.server import Server, find_server, start_command
from kwsd.errors import AudioLostError, AudioUnavailableError, KwsdError
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.levels import peak_db, rms_db
from kwsd.models.model import Model
from kwsd.pipeline.spotter import Spotter

CARDS = Path("/dev/snd")

RECORD_S = 3

CLIPPED, CLIPPED_SHARE = 0.999, 0.001
"""A sample of at least so much of full scale has hit the end, and so many of all are no accident."""

QUIET_DB = -55.0
"""Peak below which nobody has spoken near the microphone, or its gain is far too low."""

LEVEL_DB = -80.0
STEPS = "▁▂▃▄▅▆▇█"
STEP_S = 0.1


def sound(wanted: str, model: Model | None, *, taken: bool) -> Iterator[Finding]:
    """Findings for a device.

    Parameters
    ----------
    wanted : str
        As `kwsd.audio.opening.open_source` takes it.
    model : Model, optional
        Listens to what is recorded.
    taken : bool
        Whether a daemon that is running may have the device for itself.
    """
    if wanted == "-":
        yield skipped("device", "standard input: there is nothing to look at before kwsd runs")
    elif wanted.startswith("file:"):
        yield from _device_and_level(wanted, model, None, taken=taken)
    else:
        yield from _sound_system(wanted, model, taken=taken)


def _sound_system(wanted: str, model: Model | None, *, taken: bool) -> Iterator[Finding]:
    try:
        server = find_server()
    except AudioUnavailableError as error:
        yield failed("sound server", error, start_command("restart"))
        # PortAudio looks for devices as it is loaded, and would wait for a frozen server for ever.
        yield skipped("device", "cannot be looked for while the sound server does not answer")
        return
    yield _server(server)
    yield cards(CARDS, server)
    installed = _library()
    yield installed
    if installed.state == "failed":
        yield skipped("device", "cannot be looked for without PortAudio")
    else:
        yield from _device_and_level(wanted, model, server, taken=taken)


def _library() -> Finding:
    try:
        version = portaudio().get_portaudio_version()[1]
    except AudioUnavailableError:
        missing = AudioUnavailableError("the library is missing, or cannot be loaded")
        return failed("PortAudio", missing, as_root("apt install libportaudio2"))
    return ok("PortAudio", version.split(",")[0].removeprefix("PortAudio "))


def _server(server: Server | None) -> Finding:
    if server is None:
        return warning(
            "sound server", "none is running in this session: only sound cards can be opened", start_command("start")
        )
    if server.monitor:
        text = f"{server.name}; its default source {server.source} is what is played, and no microphone"
        return warning("sound server", text, _choose(server))
    return ok("sound server", f"{server.name}{server.source and f', default source {server.source}'}")


def cards(folder: Path, server: Server | None) -> Finding:
    """Whether this user may open the sound cards' inputs in a folder, which a server makes unnecessary."""
    inputs = sorted(folder.glob("pcmC*c"))
    closed = [path for path in inputs if not os.access(path, os.R_OK | os.W_OK, effective_ids=True)]
    if not inputs:
        return skipped("sound cards", "there is none with an input")
    if closed and server is None:
        error = AudioUnavailableError(f"you may not open {closed[0]}: only members of the group audio may")
        return failed("sound cards", error, as_root("usermod -aG audio $USER") + "  # then log in anew")
    through = " through the sound server" if closed else ""
    return ok("sound cards", f"{len(inputs)} with an input can be opened{through}")


def _device_and_level(wanted: str, model: Model | None, server: Server | None, *, taken: bool) -> Iterator[Finding]:
    try:
        source = open_source(wanted)
    except AudioUnavailableError as error:
        if taken:
            yield skipped("device", f"{error}; the kwsd that is running may have it for itself")
        else:
            yield failed("device", error, _device_cure(server))
        return
    except KwsdError as error:
        yield failed("device", error, "kwsd devices")
        return
    yield ok("device", _opened(source))
    try:
        samples = _record(source)
    except KwsdError as error:
        yield failed("level", error, start_command("restart") if server else "kwsd devices")
    else:
        yield _level(samples, model, server)


def _device_cure(server: Server | None) -> str:
    try:
        input_devices()
    except AudioUnavailableError:
        if server is None:
            return start_command("start") or "kwsd check  # again, when a microphone is connected"
        return as_root(f"apt install {'pipewire-alsa' if 'PipeWire' in server.name else 'libasound2-plugins'}")
    return "kwsd devices"


def _opened(source: Source) -> str:
    if not isinstance(source, Microphone):
        return f"{source.name} opens"
    converted = "" if source.rate == SAMPLE_RATE else f", which becomes {SAMPLE_RATE} Hz"
    return f"{source.name} opens at {source.rate} Hz, {source.channels} in{converted}"


def _record(source: Source) -> Float32:
    """Three seconds, or what there is of a shorter file.

    Raises
    ------
    AudioLostError
        Nothing comes, or no more.
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


def _level(samples: Float32, model: Model | None, server: Server | None) -> Finding:
    if not samples.any():
        return failed("level", AudioUnavailableError(ONLY_ZEROS), _choose(server))
    peak = peak_db(samples)
    text = f"{_curve(samples)} {rms_db(samples):.0f} dB, peak {peak:.0f} dB{_heard(samples, model)}"
    clipped = float(np.mean(np.abs(samples) >= CLIPPED))
    if clipped >= CLIPPED_SHARE:
        return warning(
            "level", f"{text}; {clipped:.1%} of it is at full scale: turn the input down", _louder(server, "-")
        )
    if peak < QUIET_DB:
        return warning("level", f"{text}; that is very quiet: come closer, or turn the input up", _louder(server, "+"))
    return ok("level", text)


def _curve(samples: Float32) -> str:
    """Levels as a line of bars, a tenth of a second each."""
    levels = [rms_db(part) for part in np.array_split(samples, max(1, round(len(samples) / SAMPLE_RATE / STEP_S)))]
    heights = np.interp(levels, [LEVEL_DB, 0], [0, len(STEPS) - 1]).round()
    return "".join(STEPS[int(height)] for height in heights)


def _heard(samples: Float32, model: Model | None) -> str:
    """The keywords in it, if any."""
    if model is None:
        return ""
    spotter = Spotter(model)
    words = [detection.keyword for detection in spotter.feed(samples) + spotter.flush()]
    return f", heard: {' '.join(words)}" if words else ""


def _choose(server: Server | None) -> str:
    """What to type where the default source hears nothing."""
    if server and server.muted:
        return "pactl set-source-mute @DEFAULT_SOURCE@ 0"
    if server and server.monitor and server.microphones:
        return f"pactl set-default-source {server.microphones[0]}"
    if server and server.source:
        return "pactl list short sources"
    return "wpctl set-mute @DEFAULT_AUDIO_SOURCE@ 0" if shutil.which("wpctl") else "alsamixer"


def _louder(server: Server | None, sign: str) -> str:
    return f"pactl set-source-volume @DEFAULT_SOURCE@ {sign}10%" if server and server.source else "alsamixer"
