"""Events over the network on real sockets: only clients with a listed key receive them."""

import signal
import socket
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq
from helpers.command import Command as Program
from helpers.publishing import keyword_event, wait_for_subscriber
from helpers.running import Running
from zmq.auth import load_certificate
from zmq.utils.monitor import parse_monitor_message

from kwsd import subscribe
from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.bus.curve import create_key_pair, read_client_keys, read_key_pair, read_server_keys
from kwsd.bus.events import StatusEvent, decode_event
from kwsd.bus.publisher import Publisher
from kwsd.config.schema import CurveConfig
from kwsd.errors import AddressError, ConfigError, ControlError, OutputError

REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
ANSWER = REFUSED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED


@pytest.fixture
def keys(runtime: Path) -> Path:
    """A folder with the keys of the daemon, of a listed client and of an unlisted client."""
    folder = runtime / "keys"
    create_key_pair(folder, "server")
    create_key_pair(folder / "clients", "listed")
    create_key_pair(folder / "others", "unlisted")
    return folder


@pytest.fixture
def curve(keys: Path) -> CurveConfig:
    return CurveConfig(server_key=str(keys / "server.key_secret"), clients=str(keys / "clients"))


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("0.0.0.0", 0))  # noqa: S104  every interface is what this is about
        return f"tcp://0.0.0.0:{free.getsockname()[1]}"


@pytest.fixture
def running(program: str, runtime: Path, keys: Path, curve: CurveConfig, address: str) -> Iterator[Running]:
    config = runtime / "config.toml"
    config.write_text(f'curve = {{server_key = "{curve.server_key}", clients = "{curve.clients}"}}\n')
    listed = read_client_keys(keys / "clients" / "listed.key_secret", keys / "server.key")
    with closing(Running(program, runtime, "--config", str(config), address=address, keys=listed)) as daemon:
        yield daemon


def local(address: str) -> str:
    return address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104


def answer(address: str, **options: Any) -> int:  # noqa: ANN401  options of a ZeroMQ socket
    """The result of the handshake of a subscriber with these socket options."""
    with zmq.Context() as context, closing(context.socket(zmq.SUB)) as stranger:
        for name, value in options.items():
            setattr(stranger, name, value)
        stranger.linger = 0
        stranger.subscribe(b"")
        with stranger.get_monitor_socket(ANSWER) as monitor:
            stranger.connect(local(address))
            event = parse_monitor_message(monitor.recv_multipart())["event"]
            assert not stranger.poll(0)
            stranger.disable_monitor()
    return int(event)


def test_a_listed_client_gets_events(running: Running) -> None:
    send_request("mute", running.control)
    running.wait_for("muted")


def test_subscribe_with_both_keys_yields_events(keys: Path, curve: CurveConfig, address: str) -> None:
    listed, server = keys / "clients" / "listed.key_secret", keys / "server.key"
    events = subscribe(local(address), client_key=listed, server_key=str(server))
    with Publisher(address, read_server_keys(curve)) as publisher, ThreadPoolExecutor() as thread:
        first = thread.submit(next, events)
        wait_for_subscriber(publisher)
        publisher.publish(keyword_event("go"))
        assert first.result() == keyword_event("go")
    assert isinstance(events, Generator)
    events.close()


def test_subscribe_with_only_one_key_is_refused(address: str, keys: Path) -> None:
    for events in (
        subscribe(local(address), client_key=keys / "server.key_secret"),
        subscribe(local(address), server_key=keys / "server.key"),
    ):
        with pytest.raises(ValueError, match="client_key and server_key must be given together"):
            next(events)


def test_a_stranger_without_keys_gets_nothing(running: Running, address: str) -> None:
    assert running.process.poll() is None
    assert answer(address) != zmq.EVENT_HANDSHAKE_SUCCEEDED


def test_a_client_whose_key_is_not_listed_gets_nothing(running: Running, address: str, keys: Path) -> None:
    assert running.process.poll() is None
    pair, server = read_client_keys(keys / "others" / "unlisted.key_secret", keys / "server.key")
    event = answer(address, curve_publickey=pair.public, curve_secretkey=pair.secret, curve_serverkey=server)
    assert event == zmq.EVENT_HANDSHAKE_FAILED_AUTH


def test_a_client_with_the_wrong_server_key_gets_nothing(running: Running, address: str, keys: Path) -> None:
    assert running.process.poll() is None
    pair, wrong = read_client_keys(keys / "clients" / "listed.key_secret", keys / "others" / "unlisted.key")
    event = answer(address, curve_publickey=pair.public, curve_secretkey=pair.secret, curve_serverkey=wrong)
    assert event != zmq.EVENT_HANDSHAKE_SUCCEEDED


def test_a_client_with_only_the_public_part_of_a_listed_key_gets_nothing(
    running: Running, address: str, keys: Path
) -> None:
    assert running.process.poll() is None
    listed, server = read_client_keys(keys / "clients" / "listed.key_secret", keys / "server.key")
    stolen, _ = load_certificate(keys / "clients" / "listed.key")
    assert stolen == listed.public
    own = read_key_pair(keys / "others" / "unlisted.key_secret")
    event = answer(address, curve_publickey=stolen, curve_secretkey=own.secret, curve_serverkey=server)
    assert event != zmq.EVENT_HANDSHAKE_SUCCEEDED


def test_a_key_that_is_added_holds_from_the_reload_on(running: Running, address: str, keys: Path) -> None:
    (keys / "others" / "unlisted.key").rename(keys / "clients" / "unlisted.key")
    send_request("reload", running.control)
    added = read_client_keys(keys / "others" / "unlisted.key_secret", keys / "server.key")
    with Subscription(local(address), keys=added) as subscription:
        assert subscription.receive(timeout_s=30)


def test_a_key_that_is_removed_lets_nobody_in_after_the_signal(running: Running, address: str, keys: Path) -> None:
    pair, server = read_client_keys(keys / "clients" / "listed.key_secret", keys / "server.key")
    (keys / "clients" / "listed.key").unlink()
    running.process.send_signal(signal.SIGHUP)
    send_request("reload", running.control)
    event = answer(address, curve_publickey=pair.public, curve_secretkey=pair.secret, curve_serverkey=server)
    assert event == zmq.EVENT_HANDSHAKE_FAILED_AUTH


def test_a_key_that_is_removed_cuts_its_client_off_at_the_reload_and_nobody_else(
    running: Running, address: str, keys: Path
) -> None:
    (keys / "others" / "unlisted.key").rename(keys / "clients" / "other.key")
    send_request("reload", running.control)
    other = read_client_keys(keys / "others" / "unlisted.key_secret", keys / "server.key")
    with Subscription(local(address), keys=other) as subscription:
        assert subscription.receive(timeout_s=30)
        (keys / "clients" / "other.key").unlink()
        send_request("reload", running.control)
        send_request("mute", running.control)
        running.wait_for("muted")
        send_request("unmute", running.control)
        running.wait_for("listening")
        received = iter(lambda: subscription.receive(timeout_s=1), None)
        published = [decode_event(message.body) for message in received]
        assert "muted" not in [event.state for event in published if isinstance(event, StatusEvent)]


def test_a_missing_folder_of_keys_is_refused_at_the_reload(running: Running, keys: Path) -> None:
    (keys / "clients").rename(keys / "gone")
    with pytest.raises(ControlError, match="cannot read the client keys"):
        send_request("reload", running.control)
    assert send_request("status", running.control).state == "listening"


def test_kwsd_listen_uses_keys(kwsd: Program, running: Running, address: str, keys: Path) -> None:
    assert running.process.poll() is None
    options = ["--connect", local(address), "--timeout", "10"]
    key, server_key = keys / "clients" / "listed.key_secret", keys / "server.key"
    done = kwsd.run("listen", *options, "--key", key, "--server-key", server_key)
    assert "kwsd is listening" in done.stderr


def test_beyond_loopback_nothing_is_published_without_keys(address: str) -> None:
    with pytest.raises(AddressError, match="not a loopback address"):
        Publisher(address)


def test_keys_for_an_ipc_address_are_refused(runtime: Path, curve: CurveConfig) -> None:
    with pytest.raises(AddressError, match="CURVE works only on addresses that begin with tcp"):
        Publisher(f"ipc://{runtime}/events.sock", read_server_keys(curve))


def test_new_keys_are_for_this_user_alone_and_never_overwritten(kwsd: Program, runtime: Path) -> None:
    folder = runtime / "new"
    made = kwsd.run("keys", "new", folder, "--client", "laptop")
    assert made.stdout == f"{folder}/laptop.key_secret\n"
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "laptop.key": 0o600,
        "laptop.key_secret": 0o600,
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(OutputError, match="File exists"):
        create_key_pair(folder, "laptop")


@pytest.mark.parametrize("arguments", [[], ["--server", "--client", "a"], ["--client", "../a"], ["--client", ""]])
def test_keys_without_a_proper_name_are_a_usage_error(kwsd: Program, runtime: Path, arguments: list[str]) -> None:
    assert kwsd.run("keys", "new", runtime / "new", *arguments).returncode == 2


def test_a_secret_key_that_others_can_read_is_refused(keys: Path) -> None:
    (keys / "server.key_secret").chmod(0o640)
    with pytest.raises(ConfigError, match="other users can read the secret key"):
        read_key_pair(keys / "server.key_secret")


NO_KEYS = [b"", b"public-key", b"public-key = 'short'", b"public-key = '" + 40 * b"\xff" + b"'", b"\0"]


@pytest.mark.parametrize("content", NO_KEYS)
def test_a_file_that_holds_no_key_is_refused(runtime: Path, content: bytes) -> None:
    (runtime / "no.key").write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read the key .*no\.key"):
        read_key_pair(runtime / "no.key")


@pytest.mark.parametrize("content", NO_KEYS)
def test_a_client_s_file_that_holds_no_key_is_refused_by_name(keys: Path, curve: CurveConfig, content: bytes) -> None:
    (keys / "clients" / "no.key").write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read the key .*no\.key"):
        read_server_keys(curve)


def test_a_public_key_is_not_accepted_as_a_secret_key(keys: Path) -> None:
    with pytest.raises(ConfigError, match="does not contain a secret key"):
        read_key_pair(keys / "server.key")


@pytest.mark.parametrize("anybody", ["*", "/none"])
def test_a_missing_key_folder_is_an_error_and_admits_nobody(curve: CurveConfig, anybody: str) -> None:
    with pytest.raises(ConfigError, match="cannot read the client keys"):
        read_server_keys(CurveConfig(curve.server_key, anybody))
