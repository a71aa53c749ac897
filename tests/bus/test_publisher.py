"""Publisher and subscribers on real sockets."""

import os
import socket
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq
from helpers.command import Command
from helpers.publishing import STATUS, keyword_event, wait_for_subscriber

from kwsd import subscribe
from kwsd.bus.client import EventMessage, Subscription
from kwsd.bus.events import KEYWORD_TOPIC, STATUS_TOPIC, decode_event
from kwsd.bus.publisher import Publisher
from kwsd.errors import AddressError


def received(subscription: Subscription, count: int) -> list[EventMessage]:
    messages = [subscription.receive(timeout_s=60) for _ in range(count)]
    return [message for message in messages if message]


@pytest.fixture(params=["ipc", "tcp", "tcp over IPv6"])
def address(request: pytest.FixtureRequest, runtime: Path) -> str:
    if request.param == "ipc":
        return f"ipc://{runtime}/events.sock"
    host = "127.0.0.1" if request.param == "tcp" else "::1"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as free:
        try:
            free.bind((host, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {host}: {error.strerror}")
        port = free.getsockname()[1]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


@pytest.fixture
def ipc(runtime: Path) -> str:
    return f"ipc://{runtime}/events.sock"


@pytest.fixture
def publisher(ipc: str) -> Iterator[Publisher]:
    with Publisher(ipc) as publisher:
        yield publisher


def test_what_is_published_is_received_as_topic_and_json(address: str) -> None:
    with Publisher(address) as publisher, Subscription(address) as subscription:
        wait_for_subscriber(publisher)
        for event in (STATUS, keyword_event("go")):
            publisher.publish(event)
        first, second = received(subscription, 2)
    assert (first.topic, decode_event(first.body)) == (STATUS_TOPIC, STATUS)
    assert (second.topic, decode_event(second.body)) == (KEYWORD_TOPIC + "go", keyword_event("go"))


def test_every_new_subscriber_is_noticed_also_one_that_asks_for_the_same_as_another(publisher: Publisher) -> None:
    with Subscription(publisher.address) as first:
        wait_for_subscriber(publisher)
        with Subscription(publisher.address) as second:
            wait_for_subscriber(publisher)
            publisher.publish(STATUS)
            assert received(first, 1) == received(second, 1)


@pytest.mark.parametrize("topic", ["", "kwsd.", STATUS_TOPIC])
def test_a_subscriber_to_any_beginning_of_the_status_topic_is_noticed(publisher: Publisher, topic: str) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.connect(publisher.address)
        subscriber.subscribe(topic)
        wait_for_subscriber(publisher)
        publisher.publish(STATUS)
        assert subscriber.recv_multipart()[0] == STATUS_TOPIC.encode()


def test_a_subscriber_that_came_before_the_publisher_receives_too(ipc: str) -> None:
    with Subscription(ipc) as subscription, Publisher(ipc) as publisher:
        wait_for_subscriber(publisher)
        publisher.publish(keyword_event("go"))
        assert len(received(subscription, 1)) == 1


def test_a_subscriber_outlives_the_publisher(ipc: str) -> None:
    with Subscription(ipc) as subscription:
        for sequence in (1, 2):
            with Publisher(ipc) as publisher:
                wait_for_subscriber(publisher)
                publisher.publish(keyword_event("go", sequence))
            assert [decode_event(message.body).seq for message in received(subscription, 1)] == [sequence]


def test_sequence_numbers_count_each_topic_by_itself_from_one(publisher: Publisher) -> None:
    topics = ["go", "stop", "go", "go", "stop"]
    assert [publisher.next_sequence(topic) for topic in topics] == [1, 1, 2, 3, 2]


def test_events_published_last_are_delivered_though_the_publisher_is_gone(ipc: str) -> None:
    with Subscription(ipc) as subscription:
        with Publisher(ipc) as publisher:
            wait_for_subscriber(publisher)
            for sequence in range(1, 101):
                publisher.publish(keyword_event("go", sequence))
        assert [decode_event(message.body).seq for message in received(subscription, 100)] == list(range(1, 101))


def test_a_second_publisher_on_the_same_address_is_refused(address: str) -> None:
    with Publisher(address), pytest.raises(AddressError, match=r"another kwsd uses|Address already in use"):
        Publisher(address)
    with Publisher(address), Subscription(address):
        pass


def test_a_tcp_port_of_another_program_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(AddressError, match=f"cannot bind: Address already in use .*{address}"):
            Publisher(address)


def test_an_address_beyond_loopback_is_refused() -> None:
    with pytest.raises(AddressError, match="the whole network could read the events"):
        Publisher("tcp://0.0.0.0:5555")


def test_nothing_is_left_of_a_closed_publisher_but_its_lock(ipc: str, runtime: Path) -> None:
    with Publisher(ipc):
        assert (runtime / "events.sock").is_socket()
        assert (runtime / "events.sock").stat().st_mode & 0o077 == 0
    assert [path.name for path in runtime.iterdir()] == ["events.sock.lock"]


def test_the_socket_of_a_killed_daemon_does_not_prevent_a_start(kwsd: Command, ipc: str, runtime: Path) -> None:
    with Subscription(ipc) as subscription:
        daemon = kwsd.start("run", "--device", "-", "--address", ipc)
        assert received(subscription, 1)
        with pytest.raises(AddressError, match="another kwsd uses"):
            Publisher(ipc)
        daemon.kill()
        daemon.wait()
    assert (runtime / "events.sock").is_socket()
    with Publisher(ipc) as publisher, Subscription(ipc):
        wait_for_subscriber(publisher)


def test_a_path_of_107_bytes_works_and_one_of_108_is_refused_with_the_number(runtime: Path) -> None:
    path = str(runtime / "x")
    path += (107 - len(os.fsencode(path))) * "x"
    with Publisher(f"ipc://{path}") as publisher, Subscription(f"ipc://{path}") as subscription:
        wait_for_subscriber(publisher)
        publisher.publish(keyword_event("go"))
        assert received(subscription, 1)
    with pytest.raises(AddressError, match="108 bytes, and the limit is 107"):
        Publisher(f"ipc://{path}x")


def test_a_folder_that_others_can_write_to_is_refused(runtime: Path, ipc: str) -> None:
    runtime.chmod(0o777)
    with pytest.raises(AddressError, match="other users can write to the folder"):
        Publisher(ipc)


def test_a_subscriber_that_never_reads_does_not_block_the_publisher(publisher: Publisher) -> None:
    with Subscription(publisher.address) as deaf:
        wait_for_subscriber(publisher)
        for sequence in range(1, 20_001):
            publisher.publish(keyword_event("go", sequence))
        with Subscription(publisher.address, ["stop"]) as other:
            wait_for_subscriber(publisher)
            publisher.publish(keyword_event("stop"))
            assert received(other, 1)
        last = 0
        while message := deaf.receive(timeout_s=1):
            last = decode_event(message.body).seq
        assert 0 < last < 20_000


def test_a_keyword_is_matched_whole(publisher: Publisher) -> None:
    with Subscription(publisher.address, ["on"]) as subscription:
        wait_for_subscriber(publisher)
        for word in ("one", "once", "on", "o", "one"):
            publisher.publish(keyword_event(word))
        publisher.publish(STATUS)
        topics = [message.topic for message in received(subscription, 2)]
    assert topics == [KEYWORD_TOPIC + "on", STATUS_TOPIC]


def test_subscribe_yields_keyword_events_and_only_those(publisher: Publisher) -> None:
    events = subscribe(publisher.address, ["stop"])
    with ThreadPoolExecutor() as thread:
        first = thread.submit(next, events)
        wait_for_subscriber(publisher)
        for event in (STATUS, keyword_event("go"), keyword_event("stop")):
            publisher.publish(event)
        assert first.result() == keyword_event("stop")
    assert isinstance(events, Generator)
    events.close()


def test_subscribe_finds_the_daemon_by_the_address_in_the_configuration_or_the_environment(
    publisher: Publisher, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = runtime / "config.toml"
    config.write_text(f'address = "{publisher.address}"\n')
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "none"))
    for name, value in (("KWSD_CONFIG", str(config)), ("KWSD_ADDRESS", publisher.address)):
        with monkeypatch.context() as environment, ThreadPoolExecutor() as thread:
            environment.setenv(name, value)
            events = subscribe()
            first = thread.submit(next, events)
            wait_for_subscriber(publisher)
            publisher.publish(keyword_event("go"))
            assert first.result() == keyword_event("go")
            assert isinstance(events, Generator)
            events.close()


@pytest.mark.parametrize(
    "address",
    ["nowhere", "tcp://127.0.0.1", "tcp://host:99999", "tcp://a b:1", "udp://127.0.0.1:5555", "ipc:///" + 107 * "x"],
)
def test_subscribing_to_an_invalid_address_is_an_error(address: str) -> None:
    with pytest.raises(AddressError):
        Subscription(address)
