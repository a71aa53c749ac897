"""A microphone without hardware: a PulseAudio server whose default source records what the test plays."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = [
    "pulseaudio",
    "-n",
    "--daemonize=no",
    "--use-pid-file=no",
    "--exit-idle-time=-1",
    "--disable-shm",
    "--log-level=error",
    "--load=module-native-protocol-unix",
    "--load=module-null-sink sink_name=speaker rate=48000 channels=1",
]

# Replaces the whole configuration of ALSA, so that sound cards and files such as /etc/asound.conf have no effect.
ASOUND_CONF = """\
pcm.default { type pulse }
ctl.default { type pulse }
"""


class PulseAudio:
    """A sound server with one speaker. The monitor of the speaker is the microphone.

    Parameters
    ----------
    folder : Path
        The runtime folder. Its path must be short, because the path of a socket has at most 107 bytes.

    Attributes
    ----------
    environment : dict
        Environment of programs that use this server. The folder is their runtime folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._asound = folder / "asound.conf"
        self._asound.write_text(ASOUND_CONF)
        foreign = ("KWSD_", "PULSE_", "PYTHON")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = inherited | {
            "ALSA_CONFIG_PATH": str(self._asound),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
        }
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it reports that it is ready, as it does to systemd."""
        path = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            self._process = subprocess.Popen(COMMAND, env=self.environment | {"NOTIFY_SOCKET": str(path)})
            while b"READY=1" not in notify.recv(4096):
                pass
        path.unlink()

    def kill(self) -> None:
        """Kill the server, as in a crash."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send the server a signal."""
        self._process.send_signal(number)

    def control(self, *command: str) -> str:
        """Run ``pactl`` on this server, and return its output."""
        done = subprocess.run(["pactl", *command], env=self.environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    def add_speaker(self, name: str) -> str:
        """Add a speaker, whose monitor is another microphone, and return the index of its module."""
        return self.control("load-module", "module-null-sink", f"sink_name={name}", "rate=44100", "channels=2")

    def add_device(self, name: str) -> None:
        """Add an ALSA device that does not use the sound server, with index 0."""
        self._asound.write_text(f"pcm.{name} {{ type null }}\n{ASOUND_CONF}")

    def add_devices(self, devices: dict[str, str]) -> None:
        """Add ALSA devices that use a sound server: each name with the options of ALSA's PulseAudio plugin."""
        lines = (f"pcm.{name} {{ type pulse {told} }}\n" for name, told in devices.items())
        self._asound.write_text("".join(lines) + ASOUND_CONF)

    def remove_speakers(self) -> None:
        """Remove all speakers, and with them all microphones."""
        for line in self.control("list", "short", "modules").splitlines():
            index, module, *_ = line.split("\t")
            if module == "module-null-sink":
                self.control("unload-module", index)

    def play(self, recording: Path, speaker: str = "speaker") -> None:
        """Play a whole sound file into a microphone."""
        subprocess.run(["paplay", f"--device={speaker}", recording], env=self.environment, check=True)

    @contextmanager
    def noise(self, speaker: str = "speaker") -> Iterator[None]:
        """Play endless quiet noise, as every real microphone delivers, at a thousandth of full scale."""
        form = ["--rate=16000", "--channels=1", "--format=u8", "--volume=6554"]
        with self.client("pacat", f"--device={speaker}", *form, "/dev/urandom"):
            yield

    @contextmanager
    def client(self, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Run a program that uses this server. The end of the context kills it."""
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def running_pulse() -> Iterator[PulseAudio]:
    """Run a server until the end of the context."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        server = PulseAudio(Path(folder))
        try:
            yield server
        finally:
            server.kill()
