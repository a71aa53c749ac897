"""A daemon that is told to read its configuration anew, by a signal or by a request."""

import re
import shutil
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from helpers.pipes import stdin_of
from helpers.running import Running, messages

from kwsd.bus.control import send_request
from kwsd.errors import ControlError
from kwsd.models.bundle import MANIFEST, read_bundle, write_manifest
from kwsd.models.find import find_model


@pytest.fixture
def config(runtime: Path) -> Path:
    path = runtime / "config.toml"
    path.write_text("thresholds.stop = 0.6\n")
    return path


@pytest.fixture
def other_model(runtime: Path) -> Path:
    """The default model under another name."""
    folder = Path(shutil.copytree(find_model("default"), runtime / "other"))
    write_manifest(msgspec.structs.replace(read_bundle(folder), name="other"), folder)
    return folder


@pytest.fixture
def running(program: str, runtime: Path, config: Path) -> Iterator[Running]:
    with closing(Running(program, runtime, "--config", str(config))) as daemon:
        yield daemon


@pytest.fixture
def stop(clips: Path) -> np.ndarray:
    """The word "stop" between two pauses, at the end ten seconds: more than a pipe and the daemon's queue hold."""
    samples, _ = soundfile.read(min((clips / "stop").glob("*.flac")), dtype="float32")
    return np.concatenate([np.zeros(8000, np.float32), samples, np.zeros(160_000, np.float32)])


def test_new_thresholds_hold_from_the_reload_on(running: Running, config: Path, stop: np.ndarray) -> None:
    running.speak(stop)
    config.write_text("thresholds.stop = 1.0\n")
    send_request("reload", running.control)
    running.speak(stop)
    assert running.heard() == ["stop"]


def test_a_new_model_is_loaded_on_the_signal(running: Running, config: Path, other_model: Path) -> None:
    assert running.wait_for("listening").model == "default"
    config.write_text(f'model = "{other_model}"\n')
    running.process.send_signal(signal.SIGHUP)
    while running.wait_for("listening").model != "other":
        pass


def test_samples_and_windows_are_counted_on_across_a_reload(running: Running, stop: np.ndarray) -> None:
    running.speak(stop)
    before = send_request("reload", running.control)
    running.speak(stop)
    stdin_of(running.process).close()
    after = running.wait_for("stopping")
    assert after.run == before.run
    assert after.windows > before.windows > 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("thresholds.stop = 2", "the threshold of 'stop' is 2; it must be"),
        ("model = ", "is not valid TOML"),
        ('model = "/none"', "there is no model folder /none"),
        ("thresholds.maybe = 0.5", "has no keyword 'maybe'"),
        ('curve = {server_key = "/none", clients = "/none"}', "curve cannot change while the daemon runs"),
    ],
)
def test_a_bad_configuration_is_refused_in_one_line_and_the_old_one_stays(
    running: Running, config: Path, content: str, sentence: str
) -> None:
    config.write_text(content)
    with pytest.raises(ControlError, match=sentence):
        send_request("reload", running.control)
    assert send_request("status", running.control).model == "default"
    lines = running.log()
    assert [bool(re.search(sentence, line)) for line in lines if "refused" in line] == [True]


def test_a_damaged_model_is_refused_and_the_old_one_stays(running: Running, config: Path, other_model: Path) -> None:
    config.write_text(f'model = "{other_model}"\n')
    (other_model / MANIFEST).write_text("{}")
    running.process.send_signal(signal.SIGHUP)
    with pytest.raises(ControlError, match="is not a valid bundle description"):
        send_request("reload", running.control)
    assert send_request("status", running.control).model == "default"


def test_the_service_manager_is_told_when_a_reload_begins_and_ends(program: str, runtime: Path, config: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, ThreadPoolExecutor() as pool:
        manager.bind(str(runtime / "notify"))
        said = pool.submit(messages, manager)
        with closing(
            Running(program, runtime, "--config", str(config), NOTIFY_SOCKET=str(runtime / "notify"))
        ) as daemon:
            send_request("reload", daemon.control)
            send_request("stop", daemon.control)
        before, reloading, after, stopping = [
            message for message in said.result() if not message.startswith(("WATCHDOG=", "STATUS="))
        ]
    assert before == after == "READY=1"
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reloading)
    assert stopping == "STOPPING=1"
