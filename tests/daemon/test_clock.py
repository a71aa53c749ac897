"""A wall clock that is set while the daemon runs: nothing depends on it but the time in events."""

import datetime
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import soundfile
from helpers.running import Running

from kwsd.bus.events import KeywordEvent


@pytest.fixture
def clock(runtime: Path) -> Path:
    """A file that says how far the daemon's wall clock is off."""
    path = runtime / "clock"
    path.write_text("+0\n")
    return path


@pytest.fixture
def running(program: str, runtime: Path, clock: Path) -> Iterator[Running]:
    """A daemon under libfaketime, which leaves its monotonic clock alone."""
    printed = subprocess.run(["faketime", "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, check=True)
    daemon = Running(
        program,
        runtime,
        LD_PRELOAD=printed.stdout.decode().strip(),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    with closing(daemon):
        yield daemon


def next_keyword(running: Running) -> KeywordEvent:
    while True:
        event = running.receive()
        if isinstance(event, KeywordEvent):
            return event


@pytest.mark.parametrize("step", ["+90d", "-90d"])
def test_a_clock_that_is_set_changes_the_time_in_events_and_nothing_else(
    running: Running, clock: Path, two_words: Path, step: str
) -> None:
    samples, _ = soundfile.read(two_words, dtype="float32")
    # The recording ends just after its second word, which the pause lets the model forget.
    twice = [samples, 0 * samples]
    for part in twice:
        running.speak(part)
    before = [next_keyword(running), next_keyword(running)]
    clock.write_text(f"{step}\n")
    running.speak(samples)
    after = [next_keyword(running), next_keyword(running)]

    assert [event.keyword for event in after] == [event.keyword for event in before]
    assert {(a.sample - b.sample) % 1280 for a, b in zip(after, before, strict=True)} == {0}
    assert abs(after[0].time - before[0].time) > datetime.timedelta(days=89)
    assert all(0 <= event.latency_ms < 60_000 for event in after)
    status = running.wait_for("listening")
    assert (status.gaps, status.events) == (0, 4)
    assert 0 < status.uptime_s < 300
