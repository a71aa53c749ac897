"""A daemon that loses its sound server or its microphone reports the loss and listens again when they are back."""

import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from helpers.listening import Listening
from helpers.pulse import PulseAudio, running_pulse


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


def test_a_daemon_whose_sound_server_was_restarted_hears_the_next_word(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    pulse.kill()
    lost = listening.wait_for("lost")
    assert lost.reason.startswith("input device default is gone: ")
    pulse.start()
    back = listening.wait_for("listening")
    assert (back.gaps, back.reconnects) == (lost.gaps + 1, 1)
    pulse.play(stop)
    assert listening.keyword().keyword == "stop"


def test_a_sound_server_that_freezes_is_noticed_and_its_return_too(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    pulse.signal(signal.SIGSTOP)
    assert listening.wait_for("lost").reason == "default delivers no audio"
    pulse.signal(signal.SIGCONT)
    assert listening.wait_for("listening").gaps == 1
    pulse.play(stop)
    assert listening.keyword().keyword == "stop"


def test_a_sound_server_that_is_frozen_at_the_start_is_noticed_and_its_return_too(
    pulse: PulseAudio, program: str, stop: Path
) -> None:
    pulse.signal(signal.SIGSTOP)
    with closing(Listening(pulse, program)) as daemon:
        assert daemon.wait_for("lost").reason == "default delivers no audio"
        pulse.signal(signal.SIGCONT)
        daemon.wait_for("listening")
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"


def test_a_microphone_that_is_taken_away_and_comes_back_as_another_source_is_heard_again(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    before = pulse.control("list", "short", "sources")
    pulse.remove_speakers()
    listening.wait_for("lost")
    pulse.add_speaker("speaker")
    listening.wait_for("listening")
    assert pulse.control("list", "short", "sources").split()[0] != before.split()[0]
    pulse.play(stop)
    assert listening.keyword().keyword == "stop"


def test_a_device_that_was_chosen_by_its_index_is_found_by_its_name_under_another(
    pulse: PulseAudio, program: str, stop: Path
) -> None:
    assert "0  default" in devices(pulse, program)
    with closing(Listening(pulse, program, "--device", "0")) as daemon:
        daemon.wait_for("listening")
        pulse.kill()
        daemon.wait_for("lost")
        pulse.add_device("another")
        pulse.start()
        assert daemon.wait_for("listening").source == "default"
        assert "0  another" in devices(pulse, program)
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"


def test_while_the_sound_server_is_gone_no_other_device_is_taken_for_the_default(
    pulse: PulseAudio, program: str, stop: Path
) -> None:
    pulse.add_device("another")
    with closing(Listening(pulse, program, "--log-level", "debug")) as daemon:
        assert daemon.wait_for("listening").source == "default"
        pulse.kill()
        daemon.wait_for("lost")
        while not daemon.log("the input device 'default' is not there: there are 0 (another)"):
            daemon.receive()
        pulse.start()
        daemon.wait_for("listening")
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"


def test_blocks_that_stop_while_the_stream_is_open_are_noticed_and_their_return_too(
    pulse: PulseAudio, listening: Listening, stop: Path
) -> None:
    pulse.control("suspend-sink", "speaker", "1")
    assert listening.wait_for("lost").reason == "default delivers no audio"
    pulse.control("suspend-sink", "speaker", "0")
    listening.wait_for("listening")
    pulse.play(stop)
    assert listening.keyword().keyword == "stop"


def test_a_source_that_opens_and_never_delivers_is_noticed_and_its_first_block_too(
    pulse: PulseAudio, program: str, stop: Path
) -> None:
    pulse.control("suspend-sink", "speaker", "1")
    with closing(Listening(pulse, program)) as daemon:
        assert daemon.wait_for("lost").reason == "default delivers no audio"
        pulse.control("suspend-sink", "speaker", "0")
        daemon.wait_for("listening")
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"


def test_a_source_that_never_delivers_ends_the_process_so_that_a_new_one_can_try(
    pulse: PulseAudio, program: str
) -> None:
    pulse.control("suspend-sink", "speaker", "1")
    with closing(Listening(pulse, program)) as daemon:
        assert daemon.process.wait(timeout=60) == 75
        assert len(daemon.log("hangs and cannot be opened again by this process")) == 1


def test_without_a_sound_server_the_daemon_says_what_is_missing(pulse: PulseAudio, program: str) -> None:
    pulse.kill()
    ended = subprocess.run([program, "run"], env=pulse.environment, capture_output=True, text=True, check=False)
    assert ended.stderr.startswith("kwsd: there is no input device")
    assert ended.returncode == 69


def test_under_a_service_manager_the_daemon_waits_for_a_sound_server_that_is_not_there(
    pulse: PulseAudio, program: str, stop: Path
) -> None:
    pulse.kill()
    with closing(Listening(pulse, program, managed=True)) as daemon:
        assert daemon.wait_for("lost").reason.startswith("there is no input device")
        pulse.start()
        daemon.wait_for("listening")
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"


@pytest.mark.parametrize("fault", [PulseAudio.kill, PulseAudio.remove_speakers])
def test_a_loss_is_one_line_in_the_log_however_often_the_daemon_tries(
    pulse: PulseAudio, program: str, fault: Callable[[PulseAudio], None]
) -> None:
    with closing(Listening(pulse, program, "--log-level", "debug")) as daemon:
        daemon.wait_for("listening")
        fault(pulse)
        daemon.wait_for("lost")
        while len(daemon.log("cannot open the source yet")) < 3:
            daemon.receive()
        lines = daemon.log("")
    after = lines[next(number for number, line in enumerate(lines) if " lost: " in line) :]
    assert [line for line in after if not re.search(" DEBUG cannot open the source yet: ", line)] == after[:1]


def test_a_daemon_whose_device_hangs_can_be_stopped(pulse: PulseAudio, listening: Listening) -> None:
    pulse.signal(signal.SIGSTOP)
    listening.wait_for("lost")
    listening.signal(signal.SIGTERM)
    listening.wait_for("stopping")
    assert listening.process.wait(timeout=30) == 0


def test_a_daemon_that_is_stopped_before_it_hears_anything_ends_well(pulse: PulseAudio, program: str) -> None:
    with closing(Listening(pulse, program)) as daemon:
        daemon.wait_for("starting")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait() == 0


def test_the_service_manager_is_told_why_the_microphone_is_lost_and_when_it_is_back(
    pulse: PulseAudio, program: str
) -> None:
    path = pulse.folder / "manager"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        with closing(Listening(pulse, program, managed=True)):
            wait_for_line(manager, "STATUS=listening on default")
            pulse.kill()
            wait_for_line(manager, "STATUS=lost: input device default is gone: ")
            pulse.start()
            wait_for_line(manager, "STATUS=listening on default")


def devices(pulse: PulseAudio, program: str) -> str:
    """The list of devices."""
    command = [program, "devices"]
    return subprocess.run(command, env=pulse.environment, capture_output=True, text=True, check=True).stdout


def wait_for_line(manager: socket.socket, beginning: str) -> None:
    """Until the service manager is told something."""
    while not manager.recv(4096).decode().startswith(beginning):
        pass
