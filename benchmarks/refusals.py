"""Measures how fast the daemon rejects an invalid setup; a table in ``docs/internals/reliability.md``.

``python benchmarks/refusals.py`` tries each setup five times and prints Markdown. It needs root, because only root can
change the owner of a folder.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
sys.path.extend(str(ROOT / folder) for folder in ("tests", "tests/daemon"))

from helpers.running import Running  # noqa: E402  the folder of the line before
from test_disk import on_full_disk  # noqa: E402

from kwsd.bus.control import send_request  # noqa: E402
from kwsd.errors import ControlError  # noqa: E402

PROGRAM = str(Path(sys.executable).with_name("kwsd"))
NOBODY = 65534

Command = list[str | Path]


def started(folder: Path, *options: str | Path) -> Command:
    """Start a daemon that reads from a pipe and has its sockets in a folder."""
    return [PROGRAM, "run", "--device", "-", "--address", f"ipc://{folder}/events.sock", *options]


@contextmanager
def second_daemon(folder: Path) -> Iterator[Command]:
    """Another daemon uses the address."""
    with closing(Running(PROGRAM, folder)):
        yield started(folder)


@contextmanager
def folder_missing(folder: Path) -> Iterator[Command]:
    """The user has no runtime folder."""
    runtime = f"XDG_RUNTIME_DIR={folder}/none"
    yield ["unshare", "--user", "env", runtime, PROGRAM, "run", "--device", "-"]


@contextmanager
def folder_of_another(folder: Path) -> Iterator[Command]:
    """The folder of the socket belongs to another user."""
    os.chown(folder, NOBODY, NOBODY)
    yield started(folder)


@contextmanager
def folder_open_to_others(folder: Path) -> Iterator[Command]:
    """Other users can write to the folder of the socket."""
    folder.chmod(0o777)
    yield started(folder)


@contextmanager
def full_disk(folder: Path) -> Iterator[Command]:
    """The disk has no space for a socket."""
    disk = folder / "disk"
    disk.mkdir()
    yield on_full_disk(disk, 0, *started(disk))


@contextmanager
def open_tcp(folder: Path) -> Iterator[Command]:
    """The address is open to the network, and there are no keys."""
    yield [*started(folder), "--address", "tcp://0.0.0.0:5555"]


@contextmanager
def damaged_model(folder: Path) -> Iterator[Command]:
    """One byte of the model's network is wrong."""
    model = Path(shutil.copytree(ROOT / "models" / "default", folder / "model"))
    content = bytearray((model / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (model / "model.tflite").write_bytes(content)
    yield started(folder, "--model", model)


@contextmanager
def bad_config(folder: Path) -> Iterator[Command]:
    """The configuration contains an unknown key."""
    (folder / "config.toml").write_text("volume = 11\n")
    yield started(folder, "--config", folder / "config.toml")


@dataclass(frozen=True)
class Refusal:
    """An invalid setup: one row of the table."""

    name: str
    situation: Callable[[Path], AbstractContextManager[Command]]
    code: int
    test: str

    def seconds(self) -> float:
        """Seconds from the start of the daemon to its end."""
        with tempfile.TemporaryDirectory(prefix="kwsd-") as folder, self.situation(Path(folder)) as command:
            started_s = time.monotonic()
            ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            seconds = time.monotonic() - started_s
        if ended.returncode != self.code:
            raise SystemExit(f"{self.name}: exit code {ended.returncode}: {ended.stderr}")
        return seconds


REFUSALS = (
    Refusal(
        "a second daemon uses the same address",
        second_daemon,
        73,
        "bus/test_publisher.py::test_a_second_publisher_on_the_same_address_is_refused",
    ),
    Refusal(
        "the runtime folder does not exist",
        folder_missing,
        73,
        "bus/test_address.py::test_without_a_runtime_folder_root_has_another_and_a_user_gets_an_error",
    ),
    Refusal(
        "the socket folder belongs to another user",
        folder_of_another,
        73,
        "bus/test_address.py::test_a_folder_of_another_user_is_refused",
    ),
    Refusal(
        "other users can write to the socket folder",
        folder_open_to_others,
        73,
        "bus/test_address.py::test_a_folder_that_others_can_write_to_is_refused",
    ),
    Refusal(
        "the disk is full",
        full_disk,
        73,
        "daemon/test_disk.py::test_a_daemon_that_finds_no_room_for_its_sockets_says_so",
    ),
    Refusal(
        "a tcp address other than loopback is configured without keys",
        open_tcp,
        73,
        "bus/test_curve.py::test_beyond_loopback_nothing_is_published_without_keys",
    ),
    Refusal("the model is damaged", damaged_model, 66, "models/test_bundle.py::test_an_altered_network_is_refused"),
    Refusal(
        "the configuration is invalid",
        bad_config,
        78,
        "cli/test_fuzz.py::test_any_value_for_any_key_of_a_configuration",
    ),
)


def reload_refused() -> float:
    """Seconds until a running daemon rejects an invalid configuration."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as name:
        config = Path(name) / "config.toml"
        config.touch()
        with closing(Running(PROGRAM, Path(name), "--config", str(config))) as daemon:
            config.write_text("volume = 11\n")
            started_s = time.monotonic()
            try:
                send_request("reload", daemon.control)
            except ControlError:
                return time.monotonic() - started_s
    raise SystemExit("a bad configuration was taken")


def restarted() -> float:
    """Seconds until a daemon listens on the socket of a killed daemon."""
    with tempfile.TemporaryDirectory(prefix="kwsd-") as name:
        with closing(Running(PROGRAM, Path(name))) as daemon:
            daemon.process.kill()
        started_s = time.monotonic()
        with closing(Running(PROGRAM, Path(name))):
            return time.monotonic() - started_s


def main(runs: Annotated[int, typer.Option(min=1, help="Runs of each setup.")] = 5) -> None:
    """Print the table as Markdown."""
    print("| what is wrong | what the daemon does | seconds (median, worst) | test |\n|---|---|---|---|")
    for refusal in REFUSALS:
        _row(
            refusal.name,
            f"The daemon prints one sentence and exits with code {refusal.code}.",
            refusal.seconds,
            refusal.test,
            runs,
        )
    stays = "The daemon logs one line and keeps the old configuration."
    test = "daemon/test_reload.py::test_a_bad_configuration_is_refused_in_one_line_and_the_old_one_stays"
    _row("the configuration is invalid at a reload", stays, reload_refused, test, runs)
    test = "bus/test_publisher.py::test_the_socket_of_a_killed_daemon_does_not_prevent_a_start"
    _row("a killed daemon has left its socket", "The daemon removes the old socket and listens.", restarted, test, runs)


def _row(name: str, does: str, measure: Callable[[], float], test: str, runs: int) -> None:
    seconds = [measure() for _ in range(runs)]
    print(f"| {name} | {does} | {statistics.median(seconds):.2f}, {max(seconds):.2f} | `tests/{test}` |", flush=True)


if __name__ == "__main__":
    typer.run(main)
