"""Messages on standard error: with priorities for the journal, without them for a terminal and a file."""

import os
import subprocess
from pathlib import Path

from helpers.command import Command


def run(kwsd: Command, stderr: int, **environment: str) -> int:
    """Run a daemon whose audio ends inside a sample, so that the daemon logs messages and ends with an error."""
    return subprocess.run(
        [kwsd.program, "run", "--device", "-"],
        env=kwsd.environment | environment,
        input=bytes(3),
        stderr=stderr,
        check=False,
    ).returncode


def test_the_journal_gets_a_priority_for_each_line(kwsd: Command, runtime: Path) -> None:
    with (runtime / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        assert run(kwsd, journal.fileno(), JOURNAL_STREAM=f"{found.st_dev}:{found.st_ino}") == 65
        journal.seek(0)
        lines = journal.read().splitlines()
    assert any(line.startswith("<6>waiting for audio from stdin, model ") for line in lines)
    assert lines[-1].startswith("<3>standard input ended inside a sample")
    assert all(line.startswith("<") for line in lines)


def test_a_file_gets_the_time_and_the_level(kwsd: Command, runtime: Path) -> None:
    with (runtime / "log").open("w+") as log:
        assert run(kwsd, log.fileno(), JOURNAL_STREAM="1:1") == 65
        log.seek(0)
        lines = log.read().splitlines()
    assert any(" INFO waiting for audio from stdin, model " in line for line in lines)
    assert lines[-1].startswith("kwsd: standard input ended inside a sample")


def test_a_terminal_gets_colours(kwsd: Command) -> None:
    reading, terminal = os.openpty()
    assert run(kwsd, terminal, TERM="xterm-256color", COLUMNS="200", NO_COLOR="") == 65
    os.close(terminal)
    shown = os.read(reading, 65_536).decode()
    os.close(reading)
    assert "\x1b[" in shown
    assert "waiting for audio from stdin, model " in shown
