"""What was heard before a gap and what is heard after it are never joined, in the daemon as a whole."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.pipes import stdin_of

from kwsd.bus.client import Subscription
from kwsd.bus.events import Event, KeywordEvent, StatusEvent, decode_event

pytestmark = pytest.mark.program

TAPE = Path(__file__).parents[1] / "helpers" / "tape.py"
SILENCE, HALF = 12, 6
"""Blocks of silence before and after the word, and of the word's first half."""


@pytest.mark.parametrize(("before_gap", "heard"), [(SILENCE + HALF, []), (SILENCE, ["stop"]), (0, ["stop"])])
def test_a_word_is_heard_when_the_gap_is_before_it_and_not_when_it_is_in_it(
    runtime: Path, clips: Path, before_gap: int, heard: list[str]
) -> None:
    word, rate = soundfile.read(min((clips / "stop").glob("*.flac")))
    silence = np.zeros(SILENCE * 1280)
    soundfile.write(runtime / "word.wav", np.concatenate([silence, word, silence]), rate)
    address = f"ipc://{runtime}/events.sock"
    command: list[str | Path] = [sys.executable, TAPE, address, runtime / "word.wav", str(before_gap)]
    with Subscription(address) as bus, subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as daemon:
        assert bus.receive(timeout_s=60)
        stdin_of(daemon).write("\n")
        stdin_of(daemon).flush()
        events: list[Event] = []
        while not (events and isinstance(events[-1], StatusEvent) and events[-1].state == "stopping"):
            message = bus.receive(timeout_s=60)
            assert message
            events.append(decode_event(message.body))
    assert isinstance(events[-1], StatusEvent)
    assert events[-1].gaps == 1
    assert [event.keyword for event in events if isinstance(event, KeywordEvent)] == heard
