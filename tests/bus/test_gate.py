"""Peers that send too much: the daemon stays small, hears the next word, and serves the others."""

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
import zmq
from helpers import flood
from helpers.publishing import STATUS, keyword_event, wait_for_subscriber
from helpers.running import Running

from kwsd.bus.client import Subscription
from kwsd.bus.control import ControlServer, send_request
from kwsd.bus.curve import create_key_pair, read_client_keys, read_server_keys
from kwsd.bus.events import KeywordEvent, StatusEvent
from kwsd.bus.gate import PeerGate, PeerLimits
from kwsd.bus.publisher import LIMITS, Publisher
from kwsd.config.schema import CurveConfig

MAX_GROWTH_KB = 50_000

STEPS: dict[Callable[[str], Iterator[None]], int] = {
    flood.multipart_to_events: 200,
    flood.random_topics: 400,
    flood.many_subscribers: 50,
    flood.deaf_subscribers: 400,
    flood.half_open: 1200,
    flood.connections: 1200,
    flood.heartbeats: 100,
    flood.multipart_to_control: 200,
    flood.requests: 60,
}
"""Number of steps of each attack. Without a limit, the first two take more than 500 MB of the daemon's memory."""


@pytest.fixture
def tcp() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def running(program: str, runtime: Path, tcp: str) -> Iterator[Running]:
    with closing(Running(program, runtime, address=tcp)) as daemon:
        yield daemon


@pytest.fixture
def publisher(tcp: str) -> Iterator[Publisher]:
    with Publisher(tcp) as publisher:
        yield publisher


def memory_kb(running: Running, key: str) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(status.partition(f"{key}:")[2].split()[0])


def is_closed(peer: socket.socket) -> bool:
    """Whether the other side closes the connection. This waits until it does, or until nothing comes for 5 s."""
    with suppress(TimeoutError):
        try:
            return any(not peer.recv(4096) for _ in itertools.count())
        except ConnectionResetError:
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("attack", STEPS, ids=lambda attack: attack.__name__)
def test_a_daemon_under_attack_stays_small_and_a_word_is_an_event(
    running: Running, tcp: str, clips: Path, attack: Callable[[str], Iterator[None]]
) -> None:
    stop, _ = soundfile.read(min((clips / "stop").glob("*.flac")), dtype="float32")
    before_kb = memory_kb(running, "VmHWM")
    for _ in itertools.islice(attack(running.control if attack in flood.TO_CONTROL else tcp), STEPS[attack]):
        pass
    running.speak(np.concatenate([stop, np.zeros(16_000)]))
    while not isinstance(running.receive(), KeywordEvent):
        pass
    assert memory_kb(running, "VmHWM") < before_kb + MAX_GROWTH_KB
    status = send_request("status", running.control)
    assert (status.dropped_blocks, status.gaps) == (0, 0)


def test_a_peer_whose_message_never_ends_is_disconnected(publisher: Publisher, runtime: Path) -> None:
    with closing(ControlServer(f"ipc://{runtime}/control.sock")) as control:
        for address, kind in ((publisher.address, b"SUB"), (control.address, b"DEALER")):
            with flood.handshake(address, kind) as peer:
                with suppress(OSError):
                    peer.sendall(flood.PARTS)
                assert is_closed(peer)


def test_a_request_of_many_frames_has_the_limit_of_one_frame(runtime: Path) -> None:
    with (
        closing(ControlServer(f"ipc://{runtime}/control.sock")) as control,
        flood.handshake(control.address, b"DEALER") as peer,
    ):
        peer.sendall(b"\x01\x00" + 5 * (b"\x03" + (1000).to_bytes(8) + bytes(1000)))
        assert is_closed(peer)


def test_a_peer_with_too_many_topics_is_disconnected_and_the_others_stay(publisher: Publisher) -> None:
    with Subscription(publisher.address) as reader, flood.handshake(publisher.address, b"SUB") as peer:
        wait_for_subscriber(publisher)
        with suppress(OSError):
            peer.sendall(b"".join(flood.topic_frame(os.urandom(100)) for _ in range(100)))
        assert is_closed(peer)
        publisher.publish(keyword_event("go"))
        assert reader.receive(timeout_s=60)


def test_many_empty_topics_count_too(publisher: Publisher) -> None:
    with flood.handshake(publisher.address, b"SUB") as peer:
        with suppress(OSError):
            peer.sendall(300 * flood.topic_frame(b""))
        assert is_closed(peer)


def test_among_many_peers_the_one_with_most_topics_is_disconnected(publisher: Publisher) -> None:
    topics = b"".join(flood.topic_frame(os.urandom(99)) for _ in range(60))
    count = LIMITS.total_bytes // (60 * 100) + 1
    with Subscription(publisher.address) as reader:
        wait_for_subscriber(publisher)
        peers = [flood.handshake(publisher.address, b"SUB") for _ in range(count)]
        peers[0].sendall(flood.topic_frame(bytes(200)))
        for peer in peers:
            peer.sendall(topics)
        assert is_closed(peers[0])
        publisher.publish(keyword_event("go"))
        assert reader.receive(timeout_s=60)
        for peer in peers:
            peer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" + bytes(8) + b"\x7f\x01\x02\x00\x00",
        flood.GREETING + b"\x00\x01\x01",
        flood.GREETING + b"\x04\xff",
        flood.GREETING + b"\x06" + b"\xff" * 8,
        flood.GREETING + b"\x10\x00",
    ],
    ids=["HTTP", "ZMTP 2", "no handshake", "endless handshake", "enormous frame", "reserved flag"],
)
def test_a_peer_that_does_not_speak_the_protocol_is_disconnected(publisher: Publisher, data: bytes) -> None:
    with flood.connect(publisher.address) as peer:
        peer.sendall(data)
        if data.endswith(b"\x04\xff"):
            peer.sendall(255 * b"x" + b"\x00\x01\x01")
        assert is_closed(peer)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_subscription_may_arrive_in_pieces(publisher: Publisher, size: int) -> None:
    with flood.connect(publisher.address) as peer:
        ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
        for part in (flood.GREETING, ready):
            for start in range(0, len(part), size):
                peer.sendall(part[start : start + size])
        received = b""
        while b"READY" not in received:
            received += flood.receive(peer)
        for byte in flood.topic_frame(b"kwsd.status"):
            peer.sendall(bytes([byte]))
        wait_for_subscriber(publisher)
        publisher.publish(STATUS)
        while b"kwsd.status" not in received:
            received += flood.receive(peer)


def test_heartbeats_are_answered_and_never_count(publisher: Publisher) -> None:
    with zmq.Context() as context, closing(context.socket(zmq.SUB)) as subscriber:
        subscriber.heartbeat_ivl = 1
        subscriber.heartbeat_timeout = 60_000
        subscriber.subscribe(b"")
        with subscriber.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
            subscriber.connect(publisher.address)
            wait_for_subscriber(publisher)
            assert not monitor.poll(1000)
            subscriber.disable_monitor()


@pytest.fixture
def small_gate(runtime: Path) -> Iterator[str]:
    """The address of a gate that has room for two peers."""
    address = f"ipc://{runtime}/small.sock"
    with zmq.Context() as context, closing(context.socket(zmq.XPUB)) as bound:
        bound.linger = 0
        gate = PeerGate(bound, address, PeerLimits(2, 1024, 1, 8192, 8192))
        yield address
        bound.close()
        gate.close()


def test_a_new_peer_takes_the_place_of_the_oldest_that_is_only_half_connected(small_gate: str) -> None:
    with (
        flood.connect(small_gate) as oldest,
        flood.connect(small_gate) as newer,
        flood.handshake(small_gate, b"SUB"),
    ):
        assert is_closed(oldest)
        newer.settimeout(0.1)
        assert not is_closed(newer)


def test_a_new_peer_waits_while_all_places_are_taken(small_gate: str) -> None:
    first, second = flood.handshake(small_gate, b"SUB"), flood.handshake(small_gate, b"SUB")
    with second, flood.connect(small_gate) as third:
        third.sendall(flood.GREETING)
        third.settimeout(0.1)
        with pytest.raises(TimeoutError):
            third.recv(1)
        first.close()
        third.settimeout(60)
        assert third.recv(1) == b"\xff"


@pytest.mark.slow
def test_a_handshake_that_does_not_end_is_cut_off(publisher: Publisher) -> None:
    with flood.connect(publisher.address) as peer:
        peer.settimeout(60)
        peer.sendall(flood.GREETING)
        assert is_closed(peer)


def test_no_other_process_reaches_the_socket_behind_the_gate(publisher: Publisher) -> None:
    names = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if " @kwsd-" in line]
    assert names, publisher.address
    child = os.fork()
    if not child:
        code = 1
        with suppress(OSError), socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(30)
            stranger.connect("\0" + names[-1].removeprefix("@"))
            code = len(stranger.recv(10))
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_listed_client_has_the_same_limits_over_curve(runtime: Path, tcp: str) -> None:
    server, client = create_key_pair(runtime, "server"), create_key_pair(runtime / "clients", "client")
    keys = read_client_keys(client, server.with_suffix(".key"))
    server_keys = read_server_keys(CurveConfig(server_key=str(server), clients=str(client.parent)))
    with Publisher(tcp, server_keys) as publisher, zmq.Context() as context:
        for subscribes in (True, False):
            with closing(context.socket(zmq.XSUB)) as flooder:
                flooder.linger = 0
                flooder.curve_publickey, flooder.curve_secretkey = keys.pair
                flooder.curve_serverkey = keys.server
                with flooder.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
                    flooder.connect(tcp)
                    for _ in range(299):
                        flooder.send(b"\x01" + os.urandom(90), 0 if subscribes else zmq.SNDMORE)
                    flooder.send(b"\x01")
                    assert monitor.poll(60_000)
                    flooder.disable_monitor()
        with Subscription(tcp, keys=keys) as reader:
            wait_for_subscriber(publisher)
            publisher.publish(STATUS)
            message = reader.receive(timeout_s=60)
            assert message


def test_a_status_reaches_a_subscriber_that_reads_late_in_one_piece(publisher: Publisher) -> None:
    reasons = [str(number) * 1000 for number in range(20)]
    with Subscription(publisher.address) as reader:
        wait_for_subscriber(publisher)
        for reason in reasons:
            publisher.publish(msgspec.structs.replace(STATUS, reason=reason))
        for reason in reasons:
            message = reader.receive(timeout_s=60)
            assert message
            event = msgspec.json.decode(message.body, type=StatusEvent)
            assert event.reason == reason
