"""Several microphones in one daemon: each has its name, and what befalls one is nothing to the others."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.listening import Listening
from helpers.pulse import PulseAudio, running_pulse

from kwsd.bus.control import send_request_all_streams
from kwsd.bus.events import StatusEvent

DEVICES = {"desk": "speaker", "door": "second"}
"""Name of each stream and device to the speaker whose monitor it is."""


@pytest.fixture
def pulse() -> Iterator[PulseAudio]:
    """A sound server with two microphones."""
    with running_pulse() as server:
        server.add_speaker("second")
        server.add_devices({name: f'device "{speaker}.monitor"' for name, speaker in DEVICES.items()})
        yield server


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a stream for each."""
    path = tmp_path / "kwsd.toml"
    path.write_text("".join(f'[[stream]]\nname = "{name}"\ndevice = "{name}"\n' for name in DEVICES))
    return path


@pytest.fixture
def listening(pulse: PulseAudio, program: str, config: Path) -> Iterator[Listening]:
    """A daemon that listens to both."""
    with closing(Listening(pulse, program, "--config", config)) as daemon:
        all_are(daemon, "listening")
        yield daemon


def all_are(daemon: Listening, state: str) -> None:
    """Wait until each stream has been in a state."""
    missing = set(DEVICES)
    while missing:
        missing.discard(daemon.wait_for(state).stream)


def status_of(daemon: Listening, stream: str, state: str) -> StatusEvent:
    """The next status of a stream in a state."""
    return daemon.status(lambda status: (status.stream, status.state) == (stream, state))


def test_a_word_carries_the_name_of_the_stream_in_which_it_was_spoken(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    for name in ("door", "desk", "door"):
        pulse.play(stop, DEVICES[name])
        event = listening.keyword()
        assert (event.keyword, event.stream, event.source) == ("stop", name, name)


def test_words_in_all_streams_at_once_are_numbered_together_without_gaps(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    with pulse.client("paplay", "--device=second", stop):
        pulse.play(stop)
        found = [listening.keyword() for _ in DEVICES]
    assert {event.stream for event in found} == set(DEVICES)
    assert [event.seq for event in found] == [1, 2]
    assert len({event.id for event in found}) == len({event.run for event in found}) + 1 == len(DEVICES)


def test_a_stream_that_delivers_nothing_is_lost_alone_and_comes_back(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    pulse.control("suspend-sink", "second", "1")
    assert status_of(listening, "door", "lost").reason == "door delivers no audio"
    pulse.play(stop)
    assert listening.keyword().stream == "desk"
    pulse.control("suspend-sink", "second", "0")
    status_of(listening, "door", "listening")
    pulse.play(stop, "second")
    assert listening.keyword().stream == "door"
    desk, door = send_request_all_streams("status", listening.control)
    assert desk.gaps == 0 < door.gaps


def test_a_stream_whose_sound_server_dies_is_opened_again_while_the_other_goes_on(
    pulse: PulseAudio, program: str, config: Path, stop: Path
) -> None:
    with running_pulse() as elsewhere:
        pulse.add_devices({"desk": "", "door": f'server "unix:{elsewhere.folder}/pulse/native"'})
        with closing(Listening(pulse, program, "--config", config)) as daemon:
            all_are(daemon, "listening")
            elsewhere.kill()
            status_of(daemon, "door", "lost")
            pulse.play(stop)
            assert daemon.keyword().stream == "desk"
            elsewhere.start()
            status_of(daemon, "door", "listening")
            elsewhere.play(stop)
            assert daemon.keyword().stream == "door"
            desk, door = send_request_all_streams("status", daemon.control)
    assert (desk.gaps, desk.reconnects, door.gaps, door.reconnects) == (0, 0, 1, 1)


def test_after_the_sound_server_was_restarted_every_stream_hears_again(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    pulse.kill()
    all_are(listening, "lost")
    pulse.start()
    pulse.add_speaker("second")
    all_are(listening, "listening")
    for name, speaker in DEVICES.items():
        pulse.play(stop, speaker)
        assert listening.keyword().stream == name


def test_the_status_and_the_metrics_have_each_stream(pulse: PulseAudio, listening: Listening, program: str) -> None:
    def status(*options: str) -> str:
        command = [program, "status", "--connect", listening.control, *options]
        return subprocess.run(command, env=pulse.environment, capture_output=True, text=True, check=True).stdout

    rows = [json.loads(line) for line in status("--json").splitlines()]
    assert [(row["stream"], row["state"]) for row in rows] == [("desk", "listening"), ("door", "listening")]
    metrics = status("--prometheus").splitlines()
    for name in DEVICES:
        assert f'kwsd_state{{stream="{name}",state="listening"}} 1' in metrics
        assert f'kwsd_reconnects_total{{stream="{name}"}} 0' in metrics
    assert len([line for line in metrics if line.startswith("kwsd_cpu_seconds_total ")]) == 1


def test_mute_holds_for_every_stream(listening: Listening) -> None:
    assert {status.state for status in send_request_all_streams("mute", listening.control)} == {"muted"}
    assert {status.state for status in send_request_all_streams("unmute", listening.control)} == {"listening"}


def test_a_daemon_of_which_one_stream_cannot_be_opened_says_so_and_does_not_start(
    pulse: PulseAudio, program: str, config: Path
) -> None:
    config.write_text(config.read_text().replace('device = "door"', 'device = "garage"'))
    command: list[str | Path] = [program, "run", "--config", config]
    ended = subprocess.run(command, env=pulse.environment, capture_output=True, text=True, check=False)
    assert ended.stderr.startswith("kwsd: door: there is no input device 'garage'")
    assert ended.returncode == 69
