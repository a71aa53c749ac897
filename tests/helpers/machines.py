"""Imitates machines without PortAudio, or with other ALSA devices."""

import subprocess
from pathlib import Path

import pytest


def without_portaudio() -> list[str]:
    """Return the prefix of a command line that hides all shared libraries, or skip the test if that is not allowed."""
    # In this mount namespace the cache of the dynamic linker is empty.
    hide = 'mount --bind /dev/null /etc/ld.so.cache && "$@"'
    hidden = ["unshare", "--map-root-user", "--mount", "sh", "-c", hide, "-"]
    if subprocess.run([*hidden, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system permits no mount namespace")
    return hidden


def alsa(folder: Path, *names: str) -> str:
    """Write an ALSA configuration with these devices, which deliver silence, and return its path."""
    path = folder / "asound.conf"
    devices = [f"pcm.{name} {{ type null }}" for name in names]
    # PortAudio aborts if ALSA has no device at all, so the list has one of a card that does not exist.
    path.write_text("\n".join([*devices, "pcm.absent { type hw card 31 }"]))
    return str(path)
