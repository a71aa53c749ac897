"""The control socket: its replies to requests, and its robustness against invalid input."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
import zmq
from helpers.command import Command as CommandLine
from helpers.publishing import STATUS
from helpers.running import Running
from hypothesis import given
from hypothesis import strategies as st
from zmq.utils.monitor import parse_monitor_message

from kwsd.bus import events
from kwsd.bus.control import MAX_REQUEST_BYTES, Command, ControlServer, Reply, Request, send_request
from kwsd.bus.events import StatusEvent
from kwsd.errors import AddressError, AudioLostError, ControlError


@pytest.fixture
def running(program: str, runtime: Path) -> Iterator[Running]:
    with closing(Running(program, runtime, "--threshold", "stop=0.6", "--threshold", "left=0.6")) as daemon:
        yield daemon


def spoken(clips: Path, word: str) -> np.ndarray:
    """A word between two pauses. The second lasts ten seconds: more than a pipe and the daemon's queue can hold."""
    samples, _ = soundfile.read(min((clips / word).glob("*.flac")), dtype="float32")
    return np.concatenate([np.zeros(8000, np.float32), samples, np.zeros(160_000, np.float32)])


def test_the_status_is_that_of_the_event(running: Running) -> None:
    found = send_request("status", running.control)
    published = running.receive()
    assert found == published
    assert found.state == "listening"


def test_a_muted_daemon_runs_on_and_detects_nothing_until_it_is_unmuted(running: Running, clips: Path) -> None:
    running.speak(spoken(clips, "stop"))
    assert send_request("mute", running.control).state == "muted"
    running.speak(spoken(clips, "yes"))
    assert send_request("unmute", running.control).state == "listening"
    running.speak(spoken(clips, "left"))
    assert running.heard() == ["stop", "left"]


def test_a_threshold_that_is_set_holds_at_once_and_the_others_stay(running: Running, clips: Path) -> None:
    running.speak(spoken(clips, "stop"))
    assert send_request("thresholds", running.control, thresholds={"yes": 1}).thresholds["yes"] == 1
    running.speak(spoken(clips, "yes"))
    before = send_request("status", running.control)
    assert before.thresholds["stop"] == 0.6
    running.speak(spoken(clips, "left"))
    assert running.heard() == ["stop", "left"]
    assert before.gaps == 0


@pytest.mark.parametrize(
    ("thresholds", "sentence"),
    [
        ({"hello": 0.5}, "model default has no keyword 'hello': its keywords are "),
        ({"yes": 0}, "this is not a valid request: Expected `float` > 0.0"),
        ({"yes": 1.5}, "this is not a valid request: Expected `float` <= 1.0"),
    ],
)
def test_an_invalid_threshold_is_refused_and_the_others_stay(
    running: Running, thresholds: dict[str, float], sentence: str
) -> None:
    before = send_request("status", running.control).thresholds
    with pytest.raises(ControlError, match=sentence):
        send_request("thresholds", running.control, thresholds=thresholds)
    assert send_request("status", running.control).thresholds == before


def test_a_daemon_reports_a_requested_stop_and_ends_without_error(running: Running) -> None:
    send_request("stop", running.control)
    running.wait_for("stopping")
    running.speak(np.zeros(1280))
    assert running.process.wait(timeout=30) == 0


def test_the_commands_print_the_status_and_report_what_they_did(running: Running, program: str) -> None:
    def kwsd(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments, "--connect", running.control]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    assert kwsd("mute").stderr == "kwsd is muted\n"
    printed = kwsd("status", "--json").stdout
    statuses = (event for event in iter(running.receive, None) if isinstance(event, StatusEvent))
    assert events.decode_event(printed.encode()) == next(event for event in statuses if event.seq == seq(printed))
    shown = kwsd("status").stdout
    assert "state              muted\n" in shown
    assert not re.search("^(type|seq|reason|stream) ", shown, re.MULTILINE)
    assert kwsd("stop").stderr == "kwsd is stopping\n"


def test_the_commands_find_the_daemon_where_the_configuration_puts_it(running: Running, kwsd: CommandLine) -> None:
    for name, value in (("address", running.subscription.address), ("control", running.control)):
        variable = f"KWSD_{name.upper()}"
        kwsd.environment[variable] = value
        assert kwsd.run("mute").stderr == "kwsd is muted\n"
        del kwsd.environment[variable]
        file = kwsd.home / "kwsd" / "config.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'{name} = "{value}"\n')
        assert kwsd.run("unmute").stderr == "kwsd is listening again\n"


def test_muting_works_with_an_invalid_configuration(program: str, runtime: Path, kwsd: CommandLine) -> None:
    folder = runtime / "kwsd"
    folder.mkdir(mode=0o700)
    (folder / "config.toml").write_text("devise = 1")
    with closing(Running(program, folder)) as running:
        assert kwsd.run("mute").stderr == "kwsd is muted\n"
        assert send_request("status", running.control).state == "muted"
        unmuted = kwsd.run("unmute", XDG_RUNTIME_DIR=str(runtime / "elsewhere"), KWSD_CONTROL=running.control)
        assert unmuted.stderr == "kwsd is listening again\n"
        assert kwsd.run("mute", KWSD_DEVISE="x").stderr == "kwsd is muted\n"


def seq(printed: str) -> int:
    return int(msgspec.json.decode(printed)["seq"])


def test_a_second_daemon_cannot_take_the_control_socket(running: Running, program: str, runtime: Path) -> None:
    command = [program, "run", "--device", "-", "--address", f"ipc://{runtime}/other.sock"]
    ended = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert ended.returncode == 73
    assert f"another kwsd uses {running.control}".encode() in ended.stderr


def test_without_a_daemon_the_commands_fail_at_once(program: str, runtime: Path) -> None:
    address = f"ipc://{runtime}/control.sock"
    ended = subprocess.run([program, "status", "--connect", address], capture_output=True, text=True, check=False)
    assert ended.stderr == f"kwsd: no kwsd is running at {address}: start one with  kwsd run\n"
    assert ended.returncode == 69


def test_the_socket_of_a_killed_daemon_is_not_taken_for_a_daemon(runtime: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(runtime / "control.sock"))
    with pytest.raises(ControlError, match="no kwsd is running"):
        send_request("status", f"ipc://{runtime}/control.sock")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:5555", "ipc://relative", "ipc:///" + 107 * "x"])
def test_a_daemon_is_controlled_over_ipc_only(address: str) -> None:
    with pytest.raises(AddressError):
        ControlServer(address)
    with pytest.raises(AddressError):
        send_request("status", address)


class Exchange:
    """A control socket and its clients in one thread. The test decides when the socket replies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "control.sock"
        self.control = ControlServer(f"ipc://{self.path}")
        self.context = zmq.Context()
        self.commands: list[Command] = []

    def fulfil(self, request: Request) -> list[StatusEvent]:
        self.commands.append(request.command)
        if request.command == "unmute":
            raise AudioLostError("there is no such device")
        return [STATUS]

    def send(self, *frames: bytes) -> Any:  # noqa: ANN401  zmq.Socket is generic
        """A client that has sent one message with the given frames."""
        client = self.context.socket(zmq.DEALER)
        client.linger = 0
        client.connect(f"ipc://{self.path}")
        client.send_multipart(frames)
        return client

    def answer(self, client: Any) -> Reply:  # noqa: ANN401
        """The next reply to a client."""
        while not client.poll(5):
            self.control.answer_requests(self.fulfil)
        return msgspec.json.decode(client.recv_multipart()[-1], type=Reply)

    def works(self) -> bool:
        """Whether a valid request gets the right reply."""
        with closing(self.send(b"", b'{"command": "status"}')) as client:
            return self.answer(client) == Reply(STATUS)

    def close(self) -> None:
        """Close the control socket and the clients."""
        self.context.destroy(linger=0)
        self.control.close()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with closing(Exchange(tmp_path_factory.mktemp("control"))) as both:
        yield both


@pytest.mark.parametrize("command", ["status", "mute", "stop"])
def test_a_command_is_handed_to_the_daemon(exchange: Exchange, command: Command) -> None:
    with closing(exchange.send(b"", msgspec.json.encode({"command": command, "v": 1}))) as client:
        assert exchange.answer(client) == Reply(STATUS)
    assert exchange.commands[-1] == command


def test_a_refusal_is_one_sentence(exchange: Exchange) -> None:
    with closing(exchange.send(b"", b'{"command": "unmute"}')) as client:
        assert exchange.answer(client) == Reply(error="there is no such device")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[" * MAX_REQUEST_BYTES,
        b'{"command": "format"}',
        b'{"command": "status", "v": 2}',
        b'{"command": "status", "extra": 1}',
        b'{"command": ["status"]}',
    ],
)
def test_an_invalid_request_gets_an_error_as_reply(exchange: Exchange, body: bytes) -> None:
    done = len(exchange.commands)
    with closing(exchange.send(b"", body)) as client:
        assert exchange.answer(client).error.startswith("this is not a valid request")
    assert len(exchange.commands) == done


def test_a_client_with_a_too_large_request_is_disconnected_and_others_are_served(exchange: Exchange) -> None:
    with closing(exchange.context.socket(zmq.DEALER)) as client, client.get_monitor_socket() as monitor:
        client.linger = 0
        client.connect(f"ipc://{exchange.path}")
        client.send_multipart([b"", b" " * (MAX_REQUEST_BYTES + 1)])
        while parse_monitor_message(monitor.recv_multipart())["event"] != zmq.EVENT_DISCONNECTED:
            pass
        client.disable_monitor()
    assert exchange.works()


def test_a_client_that_never_reads_its_replies_costs_nothing(exchange: Exchange) -> None:
    with closing(exchange.send(b"", b'{"command": "status"}')) as client:
        for _ in range(5000):
            # Send only while the queue has space, because the control socket runs in the same thread.
            if client.poll(0, zmq.POLLOUT):
                client.send_multipart([b"", b'{"command": "status"}'])
            exchange.control.answer_requests(exchange.fulfil)
        assert exchange.works()


@given(frames=st.lists(st.binary(max_size=60) | st.just(b""), min_size=1, max_size=5))
def test_no_message_of_any_number_of_frames_harms_it(exchange: Exchange, frames: list[bytes]) -> None:
    with closing(exchange.send(*frames)):
        assert exchange.works()


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(48)
"""The greeting of ZMTP 3.1 (rfc.zeromq.org/spec/37). A handshake and messages follow it."""

READY = b"\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ\x08Identity\x00\x00\x00\x00"


@given(
    valid=st.integers(0, len(GREETING + READY)),
    rest=st.binary(max_size=80),
    held=st.booleans(),
)
def test_no_bytes_on_the_bare_socket_harm_it(exchange: Exchange, valid: int, rest: bytes, *, held: bool) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(exchange.path))
        raw.sendall((GREETING + READY)[:valid] + rest)
        if not held:
            raw.close()
        assert exchange.works()


def test_a_client_that_leaves_after_half_a_request_costs_nobody_a_reply(exchange: Exchange) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as client:
        client.connect(f"ipc://{exchange.path}")
        client.send(b"half a request: there is no empty frame before it")
    assert exchange.works()
