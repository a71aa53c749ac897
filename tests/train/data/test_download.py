"""Downloads, from a server on loopback that can lose the connection."""

import hashlib
import io
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from kwsd.errors import AudioDataError, UsageError
from kwsd_train.data.download import ARCHIVES, CHUNK, Archive, download_archive


def archive_bytes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mini_speech_commands/README.md", "not a class")
        archive.writestr("mini_speech_commands/yes/0_nohash_0.wav", np.random.default_rng(0).bytes(300_000))
    return buffer.getvalue()


CONTENT = archive_bytes()


class Server(ThreadingHTTPServer):
    """Serves `CONTENT`, and closes the connection after `limit` bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.limit = len(CONTENT)
        self.starts: list[int] = []

    def archive(self, name: str = "mini_speech_commands.zip") -> dict[str, Archive]:
        url = f"http://127.0.0.1:{self.server_address[1]}/{name}"
        return {"mini": Archive(url, hashlib.sha256(CONTENT).hexdigest(), "mini_speech_commands")}


class Handler(BaseHTTPRequestHandler):
    """Answers a request for a range with that range."""

    server: Server

    def do_GET(self) -> None:
        if "missing" in self.path:
            self.send_error(404)
            return
        requested = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(requested[1]) if requested else 0
        self.server.starts.append(start)
        self.send_response(206 if requested else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.server.limit])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def test_an_archive_is_fetched_checked_and_unpacked_once(server: Server, tmp_path: Path) -> None:
    folder = download_archive("mini", tmp_path, server.archive())
    assert folder == tmp_path / "mini_speech_commands" / "mini_speech_commands"
    assert (folder / "yes" / "0_nohash_0.wav").stat().st_size == 300_000
    assert download_archive("mini", tmp_path, server.archive()) == folder
    assert server.starts == [0]


def test_an_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.limit = 2 * CHUNK
    with pytest.raises(AudioDataError, match=r"cannot download http://127.*; the partial download is kept"):
        download_archive("mini", tmp_path, server.archive())
    server.limit = len(CONTENT)
    folder = download_archive("mini", tmp_path, server.archive())
    assert server.starts == [0, 2 * CHUNK]
    assert (folder / "README.md").read_text() == "not a class"


def test_a_file_with_another_checksum_is_refused(server: Server, tmp_path: Path) -> None:
    wrong = {"mini": server.archive()["mini"]._replace(sha256="0" * 64)}
    with pytest.raises(AudioDataError, match="is not the expected file: its SHA-256 differs"):
        download_archive("mini", tmp_path, wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_archive_is_one_sentence(server: Server, tmp_path: Path) -> None:
    with pytest.raises(AudioDataError, match="the server answers 404 Not Found"):
        download_archive("mini", tmp_path, server.archive("missing.zip"))


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    nowhere = {"mini": Archive(f"http://127.0.0.1:{port}/mini.zip", "0" * 64, ".")}
    with pytest.raises(AudioDataError, match="there is no connection to the server"):
        download_archive("mini", tmp_path, nowhere)


def test_an_unknown_archive_is_refused_with_a_list_of_the_archives(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose mini or speech-commands"):
        download_archive("maxi", tmp_path)


def test_the_upstream_archives_are_those_of_the_tutorial() -> None:
    assert {name: archive.url.rsplit("/", 1)[1] for name, archive in ARCHIVES.items()} == {
        "mini": "mini_speech_commands.zip",
        "speech-commands": "speech_commands_v0.02.tar.gz",
    }
