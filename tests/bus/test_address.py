"""Event addresses: which ones are allowed, and which process can use an ipc path."""

import os
import socket
from pathlib import Path

import pytest

from kwsd.bus.address import IpcGuard, check_publish_address, default_address
from kwsd.errors import AddressError


@pytest.mark.parametrize(
    "address",
    [
        "ipc:///run/user/1000/kwsd/events.sock",
        "ipc:///" + 106 * "x",
        "tcp://127.0.0.1:5555",
        "tcp://127.1.2.3:1",
        "tcp://localhost:65535",
        "tcp://[::1]:5555",
    ],
)
def test_absolute_paths_and_loopback_ports_are_allowed(address: str) -> None:
    check_publish_address(address)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "must begin with ipc:// or tcp://"),
        ("/run/kwsd/events.sock", "must begin with ipc:// or tcp://"),
        ("inproc://events", "must begin with ipc:// or tcp://"),
        ("ipc://", "needs an absolute path"),
        ("ipc://events.sock", "needs an absolute path"),
        ("ipc://*", "needs an absolute path"),
        ("ipc://@events", "needs an absolute path"),
        ("ipc:///" + 107 * "x", "has 108 bytes, and the limit is 107"),
        ("ipc:///" + 54 * "é", "has 109 bytes, and the limit is 107"),
        ("tcp://127.0.0.1", "needs a host and a port from 1 to 65535"),
        ("tcp://127.0.0.1:", "needs a host and a port from 1 to 65535"),
        ("tcp://127.0.0.1:*", "needs a host and a port from 1 to 65535"),
        ("tcp://127.0.0.1:0", "needs a host and a port from 1 to 65535"),
        ("tcp://127.0.0.1:65536", "needs a host and a port from 1 to 65535"),
        ("tcp://*:5555", "not a loopback address"),
        ("tcp://0.0.0.0:5555", "not a loopback address"),
        ("tcp://192.168.1.2:5555", "not a loopback address"),
        ("tcp://[::]:5555", "not a loopback address"),
        ("tcp://localhost.example.org:5555", "not a loopback address"),
        ("tcp://:5555", "needs a host and a port"),
    ],
)
def test_any_other_address_is_refused(address: str, sentence: str) -> None:
    with pytest.raises(AddressError, match=sentence):
        check_publish_address(address)


def test_the_default_address_is_in_the_user_s_runtime_folder(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert default_address() == f"ipc://{runtime}/kwsd/events.sock"


def test_without_a_runtime_folder_root_has_another_and_a_user_gets_an_error(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "none"))
    if os.geteuid() == 0:
        assert default_address() == "ipc:///run/kwsd/events.sock"
    else:
        with pytest.raises(AddressError, match=r"there is no runtime folder .*none"):
            default_address()


def test_the_folder_of_a_socket_is_made_for_this_user_alone(runtime: Path) -> None:
    IpcGuard(runtime / "kwsd" / "events.sock").release()
    assert (runtime / "kwsd").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(runtime: Path, mode: int) -> None:
    runtime.chmod(mode)
    with pytest.raises(AddressError, match="other users can write to the folder"):
        IpcGuard(runtime / "events.sock")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(runtime: Path) -> None:
    folder = runtime / "theirs"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    with pytest.raises(AddressError, match="belongs to another user"):
        IpcGuard(folder / "events.sock")


def test_a_folder_that_cannot_be_made_is_refused(runtime: Path) -> None:
    (runtime / "file").touch()
    with pytest.raises(AddressError, match=r"cannot create the folder .*: Not a directory"):
        IpcGuard(runtime / "file" / "kwsd" / "events.sock")


def test_a_path_is_one_publisher_s_until_it_is_released(runtime: Path) -> None:
    path = runtime / "events.sock"
    first = IpcGuard(path)
    with pytest.raises(AddressError, match="another kwsd uses"):
        IpcGuard(path)
    first.release()
    IpcGuard(path).release()


def test_a_stale_socket_is_removed(runtime: Path) -> None:
    path = runtime / "events.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert path.is_socket()
    guard = IpcGuard(path)
    assert not path.exists()
    guard.release()


def test_a_file_that_is_not_a_socket_is_never_removed(runtime: Path) -> None:
    diary = runtime / "diary.txt"
    diary.write_text("dear diary")
    folder = runtime / "folder"
    folder.mkdir()
    for path in (diary, folder):
        with pytest.raises(AddressError, match="another kind of file"):
            IpcGuard(path)
    assert diary.read_text() == "dear diary"
    assert folder.is_dir()
