"""Audio that is lost while the source is there: the daemon says so, begins its window anew, and hears the next word."""

import datetime
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.listening import Listening
from helpers.pulse import PulseAudio

from kwsd.bus.events import utc_now


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


def test_a_word_that_waits_while_the_daemon_is_stopped_has_the_time_at_which_it_was_spoken(
    pulse: PulseAudio, program: str, noise: Path, stop: Path
) -> None:
    with closing(Listening(pulse, program)) as daemon:
        daemon.wait_for("listening")
        daemon.signal(signal.SIGSTOP)
        before = utc_now()
        pulse.play(stop)
        after = utc_now()
        pulse.play(noise)
        daemon.signal(signal.SIGCONT)
        event = daemon.keyword()
        assert event.keyword == "stop"
        assert before < event.time < after + datetime.timedelta(seconds=1)
        assert event.latency_ms > 3000
        published = event.time + datetime.timedelta(milliseconds=event.latency_ms)
        assert after < published < utc_now()
        # The next word has the present time again.
        daemon.status(lambda status: status.queued_blocks == 0)
        before = utc_now()
        pulse.play(stop)
        assert before < daemon.keyword().time
        assert len(daemon.log("s ago)")) == 1


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
