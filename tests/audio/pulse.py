"""A microphone without hardware: a PulseAudio server of the tests' own, whose default source hears what is played."""

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

# In place of all configuration of ALSA, so that sound cards and files like /etc/asound.conf play no part.
ASOUND_CONF = """\
pcm.default { type pulse }
ctl.default { type pulse }
"""


class PulseAudio:
    """A sound server with one speaker, whose monitor is the microphone.

    Parameters
    ----------
    folder : Path
        Its runtime folder; short, because a socket's path may have 107 bytes only.

    Attributes
    ----------
    environment : dict
        For programs that are to use this server, as if the folder were the user's runtime folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        asound = folder / "asound.conf"
        asound.write_text(ASOUND_CONF)
        foreign = ("KWSD_", "PULSE_", "PYTHON")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.environment = inherited | {
            "ALSA_CONFIG_PATH": str(asound),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
        }
        self.start()

    def start(self) -> None:
        """Start the server and wait until it says that it is ready, as it would to systemd."""
        path = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            self._process = subprocess.Popen(COMMAND, env=self.environment | {"NOTIFY_SOCKET": str(path)})
            while b"READY=1" not in notify.recv(4096):
                pass
        path.unlink()

    def kill(self) -> None:
        """End the server as a crash would."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: int) -> None:
        """Send the server a signal."""
        self._process.send_signal(number)

    def play(self, recording: Path) -> None:
        """Play a sound file to its end into the microphone."""
        subprocess.run(["paplay", "--device=speaker", recording], env=self.environment, check=True)

    @contextmanager
    def client(self, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A program that uses this server, ended with the context at the latest."""
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=self.environment, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def running_pulse() -> Iterator[PulseAudio]:
    """A server that lives as long as the context."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        server = PulseAudio(Path(folder))
        try:
            yield server
        finally:
            server.kill()
