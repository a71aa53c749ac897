"""A thousand subscribers that read, hang or disappear: the daemon still detects words, and its memory is limited."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
import zmq
from helpers.crowd import READ, STUCK, crowd
from helpers.running import Running

from kwsd.bus.control import Reply, send_request
from kwsd.bus.events import KeywordEvent

THOUSAND = 1000

STATUSES = 2000
"""More events than ZeroMQ and the system store for one subscriber."""


@pytest.fixture
def running(program: str, runtime: Path) -> Iterator[Running]:
    with closing(Running(program, runtime)) as daemon:
        yield daemon


def publish(running: Running) -> None:
    """Make the daemon publish many statuses between blocks of audio. One subscriber reads all of them."""
    with zmq.Context() as context, closing(context.socket(zmq.DEALER)) as client:
        client.sndhwm = client.rcvhwm = 0
        client.connect(running.control)
        for _ in range(STATUSES):
            client.send_multipart([b"", b'{"command": "status"}'])
        received = 0
        for number in range(STATUSES):
            if number % 8 == 0:
                running.speak(np.zeros(1280))
            reply = msgspec.json.decode(client.recv_multipart()[-1], type=Reply)
            assert reply.status
            while received < reply.status.seq:
                event = running.receive()
                assert event.seq == received + 1 or not received
                received = event.seq


def memory_kb(running: Running) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def files(running: Running) -> int:
    return sum(1 for _ in Path(f"/proc/{running.process.pid}/fd").iterdir())


def test_a_thousand_that_read_nothing_take_no_more_memory_once_their_queues_are_full(running: Running) -> None:
    with crowd(running.subscription.address, THOUSAND, STUCK):
        publish(running)
        assert send_request("status", running.control).overruns > 0
        full_kb = memory_kb(running)
        publish(running)
        # If the daemon stored these statuses for every subscriber, they would take more than 100 MB.
        assert memory_kb(running) < full_kb + 10_000


@pytest.mark.parametrize("does", [READ, STUCK])
def test_with_a_thousand_and_after_they_have_vanished_a_word_is_an_event(
    running: Running, clips: Path, does: str
) -> None:
    stop, _ = soundfile.read(min((clips / "stop").glob("*.flac")), dtype="float32")
    spoken = np.concatenate([stop, np.zeros(16_000)])
    alone = files(running)
    with crowd(running.subscription.address, THOUSAND, does):
        assert files(running) >= alone + THOUSAND
        running.speak(spoken)
        while not isinstance(running.receive(), KeywordEvent):
            pass
    while files(running) > alone:
        send_request("status", running.control)
    running.speak(spoken)
    assert running.heard() == ["stop"]
