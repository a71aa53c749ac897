"""A disk without room: what needs it says so in one sentence and leaves nothing half done, what does not goes on."""

import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.command import Command
from helpers.pipes import stdin_of

from kwsd.bus.client import Subscription
from kwsd.bus.events import Event, KeywordEvent, StatusEvent, decode_event

SCRIPT = """\
mount -t tmpfs -o "size=64k,mode=700,nr_inodes=$1" kwsd-tests "$2" || exit 99
[ ! -e "$2.before" ] || cp "$2.before"/* "$2"
dd if=/dev/zero of="$2/ballast" 2>/dev/null
disk=$2
shift 2
"$@"
code=$?
ls -A "$disk" >&2
exit $code
"""
"""In a mount namespace of its own: fills a disk, which begins with the files of the folder DISK.before, runs a command,
and lists what is on the disk after it."""

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    """Skip where a user may not mount a disk."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no user have namespaces")


@pytest.fixture
def disk(runtime: Path) -> Path:
    folder = runtime / "disk"
    folder.mkdir()
    return folder


def on_full_disk(disk: Path, files: int, *command: str | Path) -> list[str | Path]:
    """A command that runs where `disk` has no room, but for so many empty files."""
    return [*NAMESPACE, "sh", "-c", SCRIPT, "sh", str(2 + files), disk, *command]


def run(kwsd: Command, command: list[str | Path]) -> tuple[int, list[str]]:
    """Exit code, and the lines on standard error."""
    done = subprocess.run(command, env=kwsd.environment, input="", capture_output=True, text=True, check=False)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("files", "sentence", "left"),
    [
        (0, "cannot lock the address {disk}/events.sock: No space left on device", []),
        (1, "cannot bind: No space left on device", ["events.sock.lock"]),
        (2, "cannot lock the address {disk}/control.sock: No space left on device", ["events.sock.lock"]),
    ],
)
def test_a_daemon_that_finds_no_room_for_its_sockets_says_so(
    kwsd: Command, disk: Path, files: int, sentence: str, left: list[str]
) -> None:
    options = ["run", "--device", "-", "--address", f"ipc://{disk}/events.sock"]
    code, lines = run(kwsd, on_full_disk(disk, files, kwsd.program, *options))
    assert lines[0].startswith("kwsd: " + sentence.format(disk=disk))
    assert (code, lines[1:]) == (73, ["ballast", *left])


@pytest.mark.parametrize("files", [0, 1, 2, 3])
def test_keys_that_find_no_room_are_not_half_made(kwsd: Command, disk: Path, files: int) -> None:
    code, lines = run(kwsd, on_full_disk(disk, files, kwsd.program, "keys", "new", disk, "--client", "laptop"))
    assert lines[0].startswith(f"kwsd: cannot create the keys in {disk}: No space left on device")
    assert (code, lines[1:]) == (74, ["ballast"])


@pytest.mark.parametrize("files", [0, 1])
def test_an_old_unit_stays_when_there_is_no_room_for_a_new_one(kwsd: Command, runtime: Path, files: int) -> None:
    units = runtime / "systemd" / "user"
    units.mkdir(parents=True)
    before = units.with_name("user.before")
    before.mkdir()
    (before / "kwsd.service").write_text("old\n")
    manager = runtime / "bin" / "systemctl"  # there is one, but it has nothing to do here
    manager.parent.mkdir()
    manager.write_text("#!/bin/sh\n")
    manager.chmod(0o755)
    script = f'PATH={manager.parent}:$PATH "$@"; code=$?; cat "$0" >&2; exit $code'
    show: list[str | Path] = ["sh", "-c", script, units / "kwsd.service"]
    code, lines = run(kwsd, on_full_disk(units, 1 + files, *show, kwsd.program, "service", "install"))
    assert lines == [
        f"kwsd: cannot write {units}/kwsd.service: No space left on device",
        "old",
        "ballast",
        "kwsd.service",
    ]
    assert code == 74


def test_a_daemon_whose_log_finds_no_room_goes_on(kwsd: Command, runtime: Path, disk: Path, clips: Path) -> None:
    address = f"ipc://{runtime}/events.sock"
    samples, _ = soundfile.read(min((clips / "stop").glob("*.flac")), dtype="float32")
    speech = np.concatenate([samples, np.zeros(16_000, np.float32)])
    logging: list[str | Path] = ["sh", "-c", 'exec "$@" 2>"$0"', disk / "log"]
    command = on_full_disk(disk, 1, *logging, kwsd.program, "run", "--device", "-", "--address", address)
    with (
        closing(Subscription(address)) as subscription,
        subprocess.Popen(command, env=kwsd.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as daemon,
    ):
        assert subscription.receive(timeout_s=30)
        stdin_of(daemon).write((speech * 32767).astype("<i2").tobytes())
        stdin_of(daemon).close()
        events: list[Event] = []
        while not (events and isinstance(events[-1], StatusEvent) and events[-1].state == "stopping"):
            message = subscription.receive(timeout_s=30)
            assert message
            events.append(decode_event(message.body))
        assert daemon.wait() == 0
    assert [event.keyword for event in events if isinstance(event, KeywordEvent)] == ["stop"]


def test_a_daemon_whose_clips_find_no_room_says_so_once_and_goes_on(
    kwsd: Command, runtime: Path, disk: Path, two_words: Path
) -> None:
    options = ["--device", f"file:{two_words}", "--address", f"ipc://{runtime}/events.sock"]
    code, lines = run(kwsd, on_full_disk(disk, 5, kwsd.program, "run", *options, "--save-clips", disk))
    assert [line.partition(" WARNING ")[2] for line in lines if "WARNING" in line] == [
        f"cannot save a clip in {disk}: No space left on device; further lost clips are only counted in the status"
    ]
    assert [line.split()[3] for line in lines if "(score" in line] == ["go", "stop"]
    # Neither clip is there, whole or in part.
    assert (code, lines[-1]) == (0, "ballast")
