"""The sound server: whether one answers, and what it has to say about its default source."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kwsd.errors import AudioUnavailableError

ANSWER_S = 5.0
"""Longest wait for the server: one that is frozen would hold up PortAudio for ever."""


class Server(NamedTuple):
    """A sound server that answers.

    Parameters
    ----------
    name : str
    source : str
        Name of the default source; empty when it cannot be asked, for want of ``pactl``.
    muted : bool
    monitor : bool
        Whether the source is what is played, and no microphone.
    microphones : tuple of str
        Other sources that are none.
    """

    name: str
    source: str = ""
    muted: bool = False
    monitor: bool = False
    microphones: tuple[str, ...] = ()


def find_server() -> Server | None:
    """The sound server of this user's session, if there is one.

    Raises
    ------
    AudioUnavailableError
        There should be one, but it does not answer.
    """
    answering = [(name, path) for name, path in _sockets().items() if _answers(name, path)]
    if not answering:
        return None
    name, path = answering[0]
    if "PulseAudio" not in dict(answering) or not shutil.which("pactl"):
        return Server(f"{name} at {path}")
    info = _pactl("info")
    sources = {source["name"]: source for source in _pactl("list", "sources")}
    # PULSE_SOURCE is the client's own choice (pulse-client.conf(5)).
    default = os.environ.get("PULSE_SOURCE") or info["default_source_name"]
    monitors = {name for name in sources if name.endswith(".monitor")}
    return Server(
        f"{info['server_name']} {info['server_version']}",
        default,
        muted=sources.get(default, {}).get("mute", False),
        monitor=default in monitors,
        microphones=tuple(sorted(sources.keys() - monitors - {default})),
    )


def start_command(verb: Literal["start", "restart"]) -> str:
    """What to type where no server runs, or one hangs; empty where none is installed."""
    if shutil.which("pipewire"):
        return f"systemctl --user {verb} pipewire pipewire-pulse wireplumber"
    if shutil.which("pulseaudio"):
        return "pulseaudio --start" if verb == "start" else "pulseaudio --kill; pulseaudio --start"
    return ""


def _sockets() -> dict[str, Path]:
    """Where servers listen (pipewire(1), "ENVIRONMENT VARIABLES"; pulseaudio(1), "UNIX DOMAIN SOCKETS")."""
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


def _pactl(*arguments: str) -> Any:  # noqa: ANN401  whatever JSON holds
    command = ["pactl", "--format=json", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=ANSWER_S, check=True)
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise AudioUnavailableError(f"the sound server does not answer within {ANSWER_S:g} s") from None
    except (subprocess.CalledProcessError, ValueError):
        raise AudioUnavailableError("the sound server does not answer pactl") from None
