"""Whatever a reload finds, the daemon goes on with what it has, and says why in one line."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import soundfile
from helpers.networks import make_bundle, make_network
from helpers.running import Running

from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.bus.curve import create_key_pair, read_client_keys
from kwsd.errors import ControlError
from kwsd.models.bundle import MANIFEST, NETWORK
from kwsd.models.find import find_model

Fault = Callable[[Path, Path], object]
"""Changes the configuration, the first path, and may put a model into the folder, the second path."""

DIGITS = "9" * 5000


def number_of_many_digits(config: Path, _folder: Path) -> None:
    config.write_text(f"thresholds.go = {DIGITS}")


def key_of_many_parts(config: Path, _folder: Path) -> None:
    config.write_text("a" + ".a" * 100_000 + " = 1")


def fifo_as_configuration(config: Path, _folder: Path) -> None:
    config.unlink()
    os.mkfifo(config)


def endless_configuration(config: Path, _folder: Path) -> None:
    config.unlink()
    config.symlink_to("/dev/zero")


def link_to_itself_as_configuration(config: Path, _folder: Path) -> None:
    config.unlink()
    config.symlink_to(config)


def model_with_a_long_name(config: Path, _folder: Path) -> None:
    config.write_text(f'model = "/tmp/{"a" * 300}"')


def model_with_a_link_to_itself(config: Path, folder: Path) -> None:
    folder.symlink_to(folder)
    config.write_text(f'model = "{folder}"')


def fifo_as_model(config: Path, folder: Path) -> None:
    os.mkfifo(folder)
    config.write_text(f'model = "{folder}"')


def bundle_with_an_endless_description(config: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / MANIFEST).symlink_to("/dev/zero")
    config.write_text(f'model = "{folder}"')


def bundle_with_a_fifo(config: Path, folder: Path) -> None:
    shutil.copytree(find_model("default"), folder)
    (folder / NETWORK).unlink()
    os.mkfifo(folder / NETWORK)
    config.write_text(f'model = "{folder}"')


def network(end: str, *bias: float) -> Fault:
    def fault(config: Path, folder: Path) -> None:
        config.write_text(f'model = "{make_bundle(folder, make_network(bias, end))}"')

    return fault


def half_a_network(config: Path, folder: Path) -> None:
    path = folder.with_suffix(".tflite")
    path.write_bytes((find_model("default") / NETWORK).read_bytes()[:200_000])
    config.write_text(f'model = "{path}"\nlabels = ["a", "b"]')


FAULTS: dict[str, tuple[Fault, str]] = {
    "number of 5,000 digits": (number_of_many_digits, "is not valid TOML"),
    "key of 100,000 parts": (key_of_many_parts, "has a key with more than 32 parts"),
    "FIFO as configuration": (fifo_as_configuration, "it is a FIFO, not a file"),
    "endless configuration": (endless_configuration, "it is a device, not a file"),
    "configuration that links to itself": (link_to_itself_as_configuration, "Too many levels of symbolic links"),
    "model with a long name": (model_with_a_long_name, "File name too long"),
    "model that links to itself": (model_with_a_link_to_itself, "Too many levels of symbolic links"),
    "FIFO as model": (fifo_as_model, "it is a FIFO, not a file"),
    "endless description": (bundle_with_an_endless_description, "it is a device, not a file"),
    "FIFO as network": (bundle_with_a_fifo, "it is a FIFO, not a file"),
    "network that fails": (network("GATHER", 1.0, 0.0), "fails when it runs: gather index out of bounds"),
    "network without end": (network("BROADCAST_TO", 1.0, 0.0), "is not a network that LiteRT can run"),
    "network of logits": (network("", 507.9, 0.0), "does not answer with probabilities"),
    "network of sigmoids": (network("LOGISTIC", 1.0, 1.0), "does not answer with probabilities"),
    "network without numbers": (network("", float("nan"), 0.0), "with numbers that are not finite"),
    "half a network": (half_a_network, "is not a network that LiteRT can run"),
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kwsd-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def daemon(program: str, folder: Path) -> Iterator[Running]:
    """One daemon, which has to survive all faults of this module."""
    (folder / "config.toml").touch()
    with closing(Running(program, folder, "--config", str(folder / "config.toml"))) as daemon:
        yield daemon


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_with_its_reason_and_nothing_changes(
    daemon: Running, folder: Path, tmp_path: Path, name: str
) -> None:
    fault, sentence = FAULTS[name]
    before = send_request("status", daemon.control)
    config = folder / "config.toml"
    try:
        fault(config, tmp_path / "model")
        with pytest.raises(ControlError) as refused:
            send_request("reload", daemon.control)
        assert sentence in str(refused.value)
    finally:
        config.unlink()
        config.touch()
    after = send_request("status", daemon.control)
    assert (after.run, after.model, after.thresholds) == (before.run, before.model, before.thresholds)
    logged = (folder / "log").read_text().splitlines()
    assert [sentence in line for line in logged if "refused" in line][-1]
    assert not [line for line in logged if "Traceback" in line]


@pytest.fixture
def program_of_a_plain_user(program: str, runtime: Path) -> str:
    """The command, without the right of root to read everything."""
    if os.geteuid() != 0:
        return program
    if not shutil.which("setpriv"):
        pytest.skip("root may read everything")
    script = runtime / "kwsd-plain"
    script.write_text(f'#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search {program} "$@"\n')
    script.chmod(0o700)
    return str(script)


def test_files_that_the_daemon_may_not_read_are_refused(program_of_a_plain_user: str, runtime: Path) -> None:
    model = Path(shutil.copytree(find_model("default"), runtime / "files" / "model"))
    config = runtime / "files" / "config.toml"
    config.write_text(f'model = "{model}"')
    with closing(Running(program_of_a_plain_user, runtime, "--config", str(config))) as daemon:
        for closed in (config, model, model / MANIFEST, model / NETWORK, config.parent):
            mode = closed.stat().st_mode
            closed.chmod(0)
            try:
                with pytest.raises(ControlError, match=r"cannot read .*: Permission denied"):
                    send_request("reload", daemon.control)
            finally:
                closed.chmod(mode)
        assert send_request("reload", daemon.control).model == "default"


def test_a_daemon_hears_on_while_its_network_is_overwritten_and_cut(program: str, runtime: Path, stop: Path) -> None:
    model = Path(shutil.copytree(find_model("default"), runtime / "model"))
    samples, _ = soundfile.read(stop, dtype="float32")
    # At the end more than a pipe and the daemon's queue hold: then the word has been decided.
    speech = np.concatenate([np.zeros(8000, np.float32), samples, np.zeros(160_000, np.float32)])
    with closing(Running(program, runtime, "--model", str(model))) as daemon:
        daemon.speak(speech)
        content = (model / NETWORK).read_bytes()
        for other in (b"\xff" * len(content), content, content[: len(content) // 2], b""):
            (model / NETWORK).write_bytes(other)
            daemon.speak(speech)
        assert daemon.heard() == ["stop"] * 5


def test_nobody_can_take_the_port_while_a_key_is_removed(program: str, runtime: Path) -> None:
    keys = runtime / "keys"
    create_key_pair(keys, "server")
    create_key_pair(keys / "clients", "stays")
    removed = [create_key_pair(keys / "clients", f"goes{number}") for number in range(5)]
    config = runtime / "config.toml"
    config.write_text(f'curve = {{server_key = "{keys}/server.key_secret", clients = "{keys}/clients"}}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stays = read_client_keys(keys / "clients" / "stays.key_secret", keys / "server.key")
    ended = Event()

    def try_to_bind() -> bool:
        while not ended.is_set():
            with socket.socket() as thief, suppress(OSError):
                thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                thief.bind(("127.0.0.1", port))
                thief.listen()
                return True
        return False

    address = f"tcp://127.0.0.1:{port}"
    with (
        closing(Running(program, runtime, "--config", str(config), address=address, keys=stays)) as daemon,
        ThreadPoolExecutor() as pool,
    ):
        stolen = pool.submit(try_to_bind)
        try:
            for secret in removed:
                secret.with_suffix(".key").unlink()
                send_request("reload", daemon.control)
        finally:
            ended.set()
        assert not stolen.result()
        # The daemon publishes on the same port, for the client that stays.
        with closing(Subscription(address, keys=stays)) as subscription:
            assert subscription.receive(timeout_s=30)
