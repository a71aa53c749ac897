"""Files of every kind are read without waiting and with a limit, or refused with a reason."""

import os
import socket
from pathlib import Path

import pytest

from kwsd.files import check_file, is_present, read_file


def make(kind: str, path: Path) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    else:
        path.symlink_to(kind)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("fifo", "it is a FIFO, not a file"),
        ("socket", "it is a socket, not a file"),
        ("folder", "Is a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("large", "it is larger than 100 bytes"),
        ("/dev/zero", "it is a device, not a file"),
        ("/dev/full", "it is a device, not a file"),
        ("/none", "No such file or directory"),
        ("/proc/self/environ", "it is larger than 100 bytes"),
    ],
)
def test_what_is_not_a_small_file_is_refused_with_a_reason(runtime: Path, kind: str, reason: str) -> None:
    make(kind, runtime / "file")
    with pytest.raises(OSError, match=r"\S") as refused:
        read_file(runtime / "file", 100)
    assert refused.value.strerror == reason


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"\S") as refused:
        read_file(tmp_path / name, 100)
    assert refused.value.strerror


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_up_to_the_limit_is_read_as_a_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    assert read_file(tmp_path / "file", 100) == b"x" * size
    assert check_file(tmp_path / "file", 100) == size


def test_a_file_that_does_not_know_its_size_is_read_as_a_whole() -> None:
    assert read_file(Path("/proc/self/status"), 1 << 20).startswith(b"Name:")


def test_the_null_device_is_an_empty_file() -> None:
    assert read_file(Path(os.devnull), 100) == b""


def test_a_dangling_link_is_present_and_a_missing_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("none")
    assert is_present(tmp_path / "link")
    assert is_present(tmp_path / ("a" * 300))
    assert not is_present(tmp_path / "none")
    assert not is_present(tmp_path / "link" / "none")
