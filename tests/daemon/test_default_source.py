"""A daemon that listens to the default source when that is muted, or becomes another one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.listening import Listening
from helpers.pulse import PulseAudio, running_pulse

ZEROS = "the source delivers only zeros: it is muted or the wrong one"


@pytest.fixture
def pulse() -> Iterator[PulseAudio]:
    """A sound server for one test."""
    with running_pulse() as server:
        yield server


@pytest.fixture
def listening(pulse: PulseAudio, program: str) -> Iterator[Listening]:
    """A daemon that is listening."""
    with closing(Listening(pulse, program)) as daemon:
        daemon.wait_for("listening")
        yield daemon


def test_a_source_of_zeros_is_said_until_there_is_sound(pulse: PulseAudio, listening: Listening, stop: Path) -> None:
    assert listening.status(lambda status: status.reason == ZEROS).state == "listening"
    pulse.play(stop)
    assert listening.status(lambda status: not status.reason).reconnects == 0


def test_a_muted_microphone_is_said_and_heard_again_when_it_is_unmuted(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    with pulse.noise():
        listening.status(lambda status: not status.reason and status.silent_s == 0)
        pulse.control("set-source-mute", "speaker.monitor", "1")
        listening.status(lambda status: status.reason == ZEROS)
        pulse.control("set-source-mute", "speaker.monitor", "0")
        listening.status(lambda status: not status.reason)
        pulse.play(stop)
        assert listening.keyword().keyword == "stop"
    assert (listening.log("lost"), listening.log("audio was lost")) == ([], [])


def test_a_new_default_source_is_heard_from_then_on(pulse: PulseAudio, listening: Listening, clips: Path) -> None:
    yes, stop, left = (min((clips / word).glob("*.flac")) for word in ("yes", "stop", "left"))
    pulse.add_speaker("headset")
    pulse.control("set-default-source", "headset.monitor")
    pulse.play(yes, "speaker")
    pulse.play(stop, "headset")
    assert listening.keyword().keyword == "stop"
    pulse.control("set-default-source", "speaker.monitor")
    pulse.play(left, "speaker")
    assert listening.keyword().keyword == "left"


def test_when_the_default_source_is_taken_away_another_is_heard(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    headset = pulse.add_speaker("headset")
    pulse.control("set-default-source", "headset.monitor")
    pulse.control("unload-module", headset)
    pulse.play(stop, "speaker")
    assert listening.keyword().keyword == "stop"
    assert listening.log("lost") == []
