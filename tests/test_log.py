"""Messages on standard error: with priorities for the journal, without them for a terminal and a file."""

import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from helpers.command import Command
from helpers.pipes import stdin_of

from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent, StatusEvent, decode_event
from kwsd.log import MAX_WAITING_CHARACTERS, BackgroundStream, CleanFormatter, JournalFormatter

LOG_AND_FAIL = """
import logging
from kwsd.daemon.ending import run_and_exit
from kwsd.errors import ModelError
from kwsd.log import set_up_logging
def program():
    set_up_logging("info")
    for number in range(1000):
        logging.info("line %d", number)
    raise ModelError("the last sentence")
run_and_exit(program)
"""


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


def fill(reading: int, writing: int) -> Iterator[tuple[int, int]]:
    """Fill one end, yield both ends, and close them."""
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b".")
    except BlockingIOError:
        os.set_blocking(writing, True)
    yield reading, writing
    for descriptor in (reading, writing):
        os.close(descriptor)


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that is full and that nobody reads."""
    yield from fill(*os.pipe())


@pytest.fixture
def full_terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal that is full and that nobody reads."""
    yield from fill(*os.openpty())


@pytest.mark.parametrize("stderr", ["full_pipe", "full_terminal"])
@pytest.mark.timeout(60)
def test_a_daemon_whose_messages_nobody_reads_publishes_events_and_stops(
    kwsd: Command, runtime: Path, two_words: Path, stderr: str, request: pytest.FixtureRequest
) -> None:
    _, writing = request.getfixturevalue(stderr)
    address = f"ipc://{runtime}/events.sock"
    samples, _ = soundfile.read(two_words, dtype="int16")
    command = [kwsd.program, "run", "--device", "-", "--address", address, "--log-level", "debug"]
    with (
        Subscription(address) as subscription,
        subprocess.Popen(command, env=kwsd.environment, stdin=subprocess.PIPE, stderr=writing) as daemon,
    ):
        assert subscription.receive(timeout_s=30)
        stdin_of(daemon).write(samples.astype("<i2").tobytes())
        stdin_of(daemon).flush()
        keywords: list[str] = []
        while len(keywords) < 2:
            message = subscription.receive(timeout_s=30)
            assert message
            event = decode_event(message.body)
            if isinstance(event, KeywordEvent):
                keywords.append(event.keyword)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait() == 0
        while message := subscription.receive(timeout_s=1):
            event = decode_event(message.body)
    assert isinstance(event, StatusEvent)
    assert event.state == "stopping"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["config", "--config", "/nowhere"], 78), (["status"], 69), (["listen", "--timeout=0"], 0)],
)
def test_a_command_whose_messages_nobody_reads_ends(
    kwsd: Command, full_pipe: tuple[int, int], arguments: list[str], expected: int
) -> None:
    done = subprocess.run(
        [kwsd.program, *arguments], env=kwsd.environment, stdout=subprocess.PIPE, stderr=full_pipe[1], check=False
    )
    assert done.returncode == expected


def test_lost_messages_are_counted_when_writing_works_again(full_pipe: tuple[int, int]) -> None:
    reading, writing = full_pipe
    stream = BackgroundStream(writing)
    line = "x" * 999 + "\n"
    count = 2 * MAX_WAITING_CHARACTERS // len(line)
    for _ in range(count):
        stream.write(line)
    stream.write("the last message\n")
    text = ""
    while not text.endswith("the last message\n"):
        text += os.read(reading, 1 << 16).decode()
    lines = text.lstrip(".").splitlines()
    reports = [report for report in lines if report not in {line.strip(), "the last message"}]
    # The thread may have started late. Then it reports losses both before its first write and after it.
    pattern = r"kwsd: (\d+) messages were lost because standard error was blocked or full"
    matches = [re.fullmatch(pattern, report) for report in reports]
    assert matches
    assert all(matches)
    assert sum(int(match[1]) for match in matches if match) == count - lines.count(line.strip())


@pytest.mark.parametrize("descriptor", ["/dev/full", "closed"])
def test_a_stream_that_accepts_nothing_raises_nothing(descriptor: str) -> None:
    number = os.open("/dev/full" if descriptor == "/dev/full" else os.devnull, os.O_WRONLY)
    if descriptor == "closed":
        os.close(number)
    stream = BackgroundStream(number)
    stream.write("lost\n")
    stream.drain()
    if descriptor != "closed":
        os.close(number)


def test_all_messages_of_a_program_arrive_in_order_before_its_error(kwsd: Command) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOG_AND_FAIL], env=kwsd.environment, capture_output=True, text=True, check=False
    )
    *lines, last = done.stderr.splitlines()
    assert done.returncode == 66
    assert [line.split()[-1] for line in lines] == [str(number) for number in range(1000)]
    assert last == "kwsd: the last sentence"


@pytest.mark.parametrize("formatter", [CleanFormatter("%(message)s"), JournalFormatter("%(message)s")])
def test_a_message_is_one_line_whatever_it_quotes(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("kwsd", logging.INFO, "", 0, "%s", ("go\r\n\x1b[2J\x85\u2028\u202e\udcff",), None)
    assert formatter.format(record).removeprefix("<6>") == "go???[2J????"


def test_each_line_of_a_traceback_has_its_priority_and_no_control_character() -> None:
    try:
        int("a\x1b[2J\nb")
    except ValueError:
        record = logging.LogRecord("kwsd", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    lines = JournalFormatter("%(message)s").format(record).split("\n")
    assert all(line.startswith("<3>") for line in lines)
    assert lines[-1].startswith("<3>ValueError: ")
