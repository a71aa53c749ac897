"""Machines that lack something, for tests of what is said there."""

import subprocess
from pathlib import Path

import pytest


def without_portaudio() -> list[str]:
    """What to put before a command, so that it runs where no library is installed; skips the test where that fails."""
    # A mount namespace whose linker knows of no library.
    hide = 'mount --bind /dev/null /etc/ld.so.cache && "$@"'
    hidden = ["unshare", "--map-root-user", "--mount", "sh", "-c", hide, "-"]
    if subprocess.run([*hidden, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system permits no mount namespace")
    return hidden


def alsa(folder: Path, *names: str) -> str:
    """An ALSA configuration whose devices are these, each of them an input of silence."""
    path = folder / "asound.conf"
    devices = [f"pcm.{name} {{ type null }}" for name in names]
    # PortAudio aborts where ALSA knows no device at all, so one is always there, of a card that is not.
    path.write_text("\n".join([*devices, "pcm.absent { type hw card 31 }"]))
    return str(path)
