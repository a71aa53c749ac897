"""Whom clients and the daemon trust: files and folders that no other user can change."""

import fcntl
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zmq
from helpers.command import Command
from helpers.publishing import STATUS, wait_for_subscriber
from zmq.utils.monitor import parse_monitor_message

from kwsd.bus.address import IpcGuard
from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.bus.curve import (
    ClientAuthenticator,
    create_key_pair,
    read_client_keys,
    read_key_pair,
    read_server_keys,
)
from kwsd.bus.publisher import Publisher
from kwsd.config.schema import CurveConfig
from kwsd.errors import AddressError, ConfigError

STRANGER = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def give_away(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)


def open_to_all(path: Path) -> None:
    path.chmod(0o777)


INTRUSIONS = [
    pytest.param(give_away, "belongs to another user", marks=as_root),
    pytest.param(open_to_all, "other users can write to"),
]


@pytest.fixture
def folder(runtime: Path) -> Path:
    """A folder in a runtime folder that all users share."""
    runtime.chmod(0o1777)
    folder = runtime / "kwsd"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.parametrize(("intrude", "sentence"), INTRUSIONS)
def test_clients_refuse_a_folder_that_another_user_controls(
    folder: Path, intrude: Callable[[Path], None], sentence: str
) -> None:
    intrude(folder)
    with pytest.raises(AddressError, match=f"cannot trust the address .*{sentence}"):
        Subscription(f"ipc://{folder}/events.sock")
    with pytest.raises(AddressError, match=f"cannot trust the address .*{sentence}"):
        send_request("status", f"ipc://{folder}/control.sock")


@as_root
def test_clients_refuse_a_socket_of_another_user(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "events.sock"))
    give_away(folder / "events.sock")
    with pytest.raises(AddressError, match=r"events\.sock belongs to another user"):
        Subscription(f"ipc://{folder}/events.sock")


def test_clients_refuse_a_folder_that_others_can_replace(folder: Path) -> None:
    folder.parent.chmod(0o777)
    with pytest.raises(AddressError, match=f"other users can write to {folder.parent}"):
        Subscription(f"ipc://{folder}/events.sock")
    with pytest.raises(AddressError, match="other users can replace the folder"):
        IpcGuard(folder / "events.sock")


@as_root
def test_clients_refuse_a_link_of_another_user(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    Subscription(f"ipc://{link}/events.sock").close()
    os.lchown(link, STRANGER, STRANGER)
    with pytest.raises(AddressError, match="link belongs to another user"):
        Subscription(f"ipc://{link}/events.sock")


@as_root
def test_root_trusts_the_user_of_a_service_of_systemd(folder: Path) -> None:
    os.chown(folder, 61184, 61184)
    Subscription(f"ipc://{folder}/events.sock").close()


@pytest.mark.parametrize(("intrude", "sentence"), INTRUSIONS)
def test_a_folder_that_appears_later_is_checked_before_the_client_connects(
    folder: Path, intrude: Callable[[Path], None], sentence: str
) -> None:
    address = f"ipc://{folder}/events.sock"
    folder.rmdir()
    with Subscription(address) as subscription:
        assert subscription.receive(timeout_s=0) is None
        folder.mkdir()
        intrude(folder)
        with pytest.raises(AddressError, match=sentence):
            subscription.receive(timeout_s=60)


def test_a_client_connects_when_the_folder_appears(folder: Path) -> None:
    folder.rmdir()
    address = f"ipc://{folder}/events.sock"
    with Subscription(address) as subscription, Publisher(address) as publisher:
        assert subscription.receive(timeout_s=0) is None
        wait_for_subscriber(publisher)
        publisher.publish(STATUS)
        assert subscription.receive(timeout_s=60)


@pytest.mark.parametrize(("intrude", "sentence"), INTRUSIONS)
def test_an_event_is_not_delivered_after_the_folder_has_changed(
    folder: Path, intrude: Callable[[Path], None], sentence: str
) -> None:
    address = f"ipc://{folder}/events.sock"
    with Publisher(address) as publisher, Subscription(address) as subscription:
        wait_for_subscriber(publisher)
        intrude(folder)
        publisher.publish(STATUS)
        with pytest.raises(AddressError, match=sentence):
            subscription.receive(timeout_s=60)


@pytest.mark.parametrize("command", [["listen"], ["act"], ["status"], ["mute"], ["monitor"]])
def test_each_command_refuses_with_one_sentence(kwsd: Command, folder: Path, command: list[str]) -> None:
    folder.chmod(0o777)
    (folder.parent / "kwsd.toml").write_text('actions.go = "true"\n')
    options = ["--config", str(folder.parent / "kwsd.toml")] if command == ["act"] else []
    done = kwsd.run(*command, *options)
    assert done.returncode == 73
    assert done.stderr.splitlines()[-1].startswith("kwsd: cannot trust the address ipc://")
    assert done.stdout == ""


def test_a_lock_is_for_this_user_alone(folder: Path) -> None:
    guard = IpcGuard(folder / "events.sock")
    assert (folder / "events.sock.lock").stat().st_mode & 0o777 == 0o600
    guard.release()


def test_a_lock_that_other_users_could_hold_is_replaced(folder: Path) -> None:
    lock = folder / "events.sock.lock"
    lock.touch(0o644)
    lock.chmod(0o644)
    with lock.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        guard = IpcGuard(folder / "events.sock")
    assert lock.stat().st_mode & 0o777 == 0o600
    guard.release()


def test_a_lock_of_an_older_daemon_that_runs_is_respected(folder: Path) -> None:
    (folder / "events.sock.lock").touch(0o644)
    (folder / "events.sock.lock").chmod(0o644)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(folder / "events.sock"))
        daemon.listen()
        with pytest.raises(AddressError, match="another kwsd uses"):
            IpcGuard(folder / "events.sock")
    assert (folder / "events.sock").is_socket()


def test_a_link_in_place_of_a_lock_is_not_followed(folder: Path) -> None:
    diary = folder / "diary"
    diary.write_text("dear diary")
    (folder / "events.sock.lock").symlink_to(diary)
    IpcGuard(folder / "events.sock").release()
    assert not (folder / "events.sock.lock").is_symlink()
    assert diary.read_text() == "dear diary"


@pytest.fixture
def curve(runtime: Path) -> CurveConfig:
    server, client = create_key_pair(runtime / "keys", "server"), create_key_pair(runtime / "keys" / "clients", "one")
    return CurveConfig(server_key=str(server), clients=str(client.parent))


@pytest.mark.parametrize("changed", ["clients", "clients/one.key", "server.key_secret"])
@pytest.mark.parametrize(("intrude", "sentence"), INTRUSIONS)
def test_keys_that_another_user_can_change_are_refused_each_time(
    curve: CurveConfig, runtime: Path, changed: str, intrude: Callable[[Path], None], sentence: str
) -> None:
    read_server_keys(curve)
    intrude(runtime / "keys" / changed)
    with pytest.raises(ConfigError, match=f"cannot trust the .*{sentence}"):
        read_server_keys(curve)


@pytest.mark.parametrize("mode", [0o770, 0o1777, 0o720])
def test_nobody_else_may_add_a_client(curve: CurveConfig, mode: int) -> None:
    Path(curve.clients).chmod(mode)
    with pytest.raises(ConfigError, match=r"other users can write to .*: run  chmod go-w"):
        read_server_keys(curve)


@pytest.mark.parametrize(("intrude", "sentence"), INTRUSIONS)
def test_a_client_refuses_a_server_key_that_another_user_can_change(
    curve: CurveConfig, runtime: Path, intrude: Callable[[Path], None], sentence: str
) -> None:
    public = runtime / "keys" / "server.key"
    intrude(public)
    with pytest.raises(ConfigError, match=sentence):
        read_client_keys(Path(curve.clients) / "one.key_secret", public)


def test_without_the_thread_that_checks_keys_nobody_is_admitted(curve: CurveConfig) -> None:
    pair, server = read_key_pair(Path(curve.clients) / "one.key_secret"), read_server_keys(curve)
    outcome = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    with zmq.Context() as context, closing(context.socket(zmq.XPUB)) as bound, closing(context.socket(zmq.SUB)) as sub:
        ClientAuthenticator(bound, server).close()
        port = bound.bind_to_random_port("tcp://127.0.0.1")
        sub.linger = 0
        sub.curve_publickey, sub.curve_secretkey = pair
        sub.curve_serverkey = server.pair.public
        with sub.get_monitor_socket(outcome | zmq.EVENT_DISCONNECTED) as monitor:
            sub.connect(f"tcp://127.0.0.1:{port}")
            event = parse_monitor_message(monitor.recv_multipart())["event"]
            sub.disable_monitor()
    assert event != zmq.EVENT_HANDSHAKE_SUCCEEDED
