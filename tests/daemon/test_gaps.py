"""Audio that is lost while the source is there: the daemon says so, begins its window anew, and hears the next word."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.listening import Listening
from helpers.pulse import PulseAudio


@pytest.fixture
def configuration(tmp_path: Path) -> Iterator[Path]:
    """A configuration in a pipe: whoever reads it waits for as long as a test wants."""
    path = tmp_path / "config.toml"
    os.mkfifo(path)
    yield path
    path.unlink()


def test_a_computer_that_slept_hears_the_next_word(pulse: PulseAudio, program: str, noise: Path, stop: Path) -> None:
    with closing(Listening(pulse, program)) as daemon:
        daemon.wait_for("listening")
        daemon.signal(signal.SIGSTOP)
        pulse.play(noise)
        daemon.signal(signal.SIGCONT)
        assert daemon.status(lambda status: status.gaps > 0).state == "listening"
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"
        assert len(daemon.log("audio was lost")) == 1


def test_a_hop_that_takes_too_long_costs_audio_and_the_next_word_is_heard(
    pulse: PulseAudio, program: str, configuration: Path, noise: Path, stop: Path
) -> None:
    with closing(Listening(pulse, program, "--config", configuration)) as daemon:
        configuration.write_text("")
        daemon.wait_for("listening")
        daemon.signal(signal.SIGHUP)
        # The daemon waits for its configuration, while the noise fills its queue.
        with configuration.open("w"):
            pulse.play(noise)
        late = daemon.status(lambda status: status.gaps > 0)
        assert late.dropped_blocks > 0
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"
        assert daemon.status(lambda status: status.events == 1).gaps == late.gaps
