"""Finds the sound server, PulseAudio or PipeWire, and queries its default source."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kwsd.errors import AudioUnavailableError

ANSWER_S = 5.0
"""Maximum wait, in seconds, for an answer of the sound server. PortAudio itself would wait forever for a frozen sound
server."""


class SoundServer(NamedTuple):
    """A sound server that answers requests.

    Parameters
    ----------
    name : str
        Name and version of the sound server, or its name and socket.
    source : str
        Name of the default source; empty if it is unknown because ``pactl`` is not installed.
    muted : bool
        Whether the default source is muted.
    monitor : bool
        Whether the default source is a monitor, which records the sound that the computer plays.
    microphones : tuple of str
        Names of all other sources that are not monitors.
    """

    name: str
    source: str = ""
    muted: bool = False
    monitor: bool = False
    microphones: tuple[str, ...] = ()


def find_sound_server() -> SoundServer | None:
    """Return the sound server of the session of this user; None if no server runs.

    Raises
    ------
    AudioUnavailableError
        A sound server has a socket but does not answer.
    """
    answering = [(name, path) for name, path in _sockets().items() if _answers(name, path)]
    if not answering:
        return None
    name, path = answering[0]
    if "PulseAudio" not in dict(answering) or not shutil.which("pactl"):
        return SoundServer(f"{name} at {path}")
    info = _pactl("info")
    sources = {source["name"]: source for source in _pactl("list", "sources")}
    # PULSE_SOURCE overrides the default source for one client (pulse-client.conf(5)).
    default = os.environ.get("PULSE_SOURCE") or info["default_source_name"]
    monitors = {name for name in sources if name.endswith(".monitor")}
    return SoundServer(
        f"{info['server_name']} {info['server_version']}",
        default,
        muted=sources.get(default, {}).get("mute", False),
        monitor=default in monitors,
        microphones=tuple(sorted(sources.keys() - monitors - {default})),
    )


def sound_server_command(verb: Literal["start", "restart"]) -> str:
    """Return the command line that starts or restarts the sound server; empty if no sound server is installed."""
    if shutil.which("pipewire"):
        return f"systemctl --user {verb} pipewire pipewire-pulse wireplumber"
    if shutil.which("pulseaudio"):
        return "pulseaudio --start" if verb == "start" else "pulseaudio --kill; pulseaudio --start"
    return ""


def _sockets() -> dict[str, Path]:
    """Return the sockets of the sound servers.

    The manual pages describe the paths: pipewire(1), "ENVIRONMENT VARIABLES"; pulseaudio(1), "UNIX DOMAIN SOCKETS".
    """
    environment = os.environ
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    pulse = environment.get("PULSE_RUNTIME_PATH") or f"{runtime}/pulse"
    named = environment.get("PULSE_SERVER", "").removeprefix("unix:")
    return {
        "PipeWire": Path(environment.get("PIPEWIRE_RUNTIME_DIR") or runtime, "pipewire-0"),
        "PulseAudio": Path(named if named.startswith("/") else f"{pulse}/native"),
    }


def _answers(name: str, path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise AudioUnavailableError(f"{name} does not answer at {path}: {error.strerror}") from None
    return True


def _pactl(*arguments: str) -> Any:  # noqa: ANN401  decoded JSON
    command = ["pactl", "--format=json", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=ANSWER_S, check=True)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise AudioUnavailableError(f"the sound server does not answer within {ANSWER_S:g} s") from None
    except (subprocess.CalledProcessError, ValueError):
        raise AudioUnavailableError("the sound server does not answer pactl") from None
