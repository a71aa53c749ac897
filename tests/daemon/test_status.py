"""What the status says about the audio, the work done and the subscribers."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
import zmq
from helpers import publishing
from helpers.publishing import wait_for_subscriber
from helpers.running import Running

from kwsd.audio.capture import BACKLOG_BLOCKS, Capture, Opened
from kwsd.audio.silence import Silence
from kwsd.audio.source import Block
from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.bus.events import Quantiles, StatusEvent
from kwsd.bus.metrics import prometheus_text
from kwsd.bus.publisher import LIMITS, Publisher

STATUS = msgspec.structs.replace(
    publishing.STATUS,
    keywords=["go", 'a "quoted" \\ word'],
    uptime_s=1.5,
    windows=12,
    gaps=1,
    events_by_keyword={"go": 3},
    inference_ms=Quantiles(0.5, 2),
    clips_written=5,
)
NOISE = np.random.default_rng(0).normal(0, 1e-3, 16_000)


@pytest.fixture
def running(program: str, runtime: Path) -> Iterator[Running]:
    with closing(Running(program, runtime)) as daemon:
        yield daemon


def next_reason(running: Running, *, empty: bool) -> StatusEvent:
    while True:
        status = running.wait_for("listening")
        if (status.reason == "") == empty:
            return status


def test_zeros_for_three_seconds_are_said_and_taken_back_each_time_and_logged_once_a_minute(running: Running) -> None:
    for _ in range(2):
        running.speak(NOISE)
        running.speak(np.zeros(3 * 16_000))
        suspect = next_reason(running, empty=False)
        assert suspect.reason == "the source delivers only zeros: it is muted or the wrong one"
        assert 2 <= suspect.silent_s < 3
        running.speak(NOISE)
        assert next_reason(running, empty=True).silent_s == 0
    logged = [line.partition(" ")[2] for line in running.log() if "listening on stdin" in line]
    assert ["only zeros" in line for line in logged] == [False, True, False]


def test_zeros_are_not_looked_at_once_there_is_nothing_else_in_the_windows(running: Running) -> None:
    running.speak(np.zeros(20 * 16_000))
    next_reason(running, empty=False)
    running.speak(NOISE)
    assert next_reason(running, empty=True).windows < 50  # of 250


def test_quiet_noise_is_no_silence() -> None:
    silence = Silence()
    for _ in range(100):
        silence.feed(np.zeros(15_999, np.float32))
        silence.feed(np.array([1e-9], np.float32))
    assert silence.seconds == 0
    assert silence.reason == ""


@pytest.mark.parametrize(("samples", "suspect"), [(31_999, False), (32_000, True)])
def test_zeros_are_suspect_from_two_seconds_on(samples: int, *, suspect: bool) -> None:
    silence = Silence()
    for block in np.array_split(np.zeros(samples, np.float32), 7):
        silence.feed(block)
    assert bool(silence.reason) == suspect


def test_windows_events_and_times_are_counted(running: Running) -> None:
    running.speak(NOISE)
    while (status := send_request("status", running.control)).windows < 12:
        pass
    assert status.inference_ms
    assert 0 < status.inference_ms.p50 <= status.inference_ms.p99
    assert status.events == sum(status.events_by_keyword.values())
    assert (status.gaps, status.dropped_blocks, status.reconnects, status.overruns) == (0, 0, 0, 0)


class Burst:
    """A live source that delivers more blocks at once than the daemon keeps."""

    name = "burst"
    live = True
    batch = 1

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self.may_deliver = threading.Event()
        self.delivered = threading.Event()

    def blocks(self) -> Iterator[Block]:
        self.may_deliver.wait()
        yield from [Block(np.zeros(1280, np.float32))] * self._blocks
        self.delivered.set()

    def close(self) -> None:
        """Nothing is open."""


def test_blocks_that_find_the_queue_full_are_counted_as_dropped() -> None:
    source = Burst(BACKLOG_BLOCKS + 15)
    with closing(Capture(lambda: source)) as capture:
        assert capture.next(timeout_s=60) == Opened("burst")
        source.may_deliver.set()
        source.delivered.wait()
        assert capture.dropped == 15
        assert capture.queued == BACKLOG_BLOCKS


def test_a_stuck_subscriber_is_counted_and_another_loses_nothing(runtime: Path) -> None:
    address = f"ipc://{runtime}/events.sock"
    with Publisher(address) as publisher, zmq.Context() as context, closing(context.socket(zmq.SUB)) as stuck:
        stuck.rcvhwm = 1
        stuck.subscribe(b"")
        stuck.connect(address)
        wait_for_subscriber(publisher)
        sent = 0
        with Subscription(address) as reader:
            wait_for_subscriber(publisher)
            while not publisher.overruns:
                sent += 1
                publisher.publish(msgspec.structs.replace(STATUS, seq=sent))
                message = reader.receive(timeout_s=30)
                assert message
                assert events.decode_event(message.body).seq == sent
    assert sent > 1000


def test_whoever_subscribes_to_a_monstrous_topic_is_cut_off_and_others_are_served(runtime: Path) -> None:
    address = f"ipc://{runtime}/events.sock"
    with Publisher(address) as publisher, zmq.Context() as context, closing(context.socket(zmq.SUB)) as monster:
        monster.subscribe(b"x" * (LIMITS.message_bytes + 1))
        with monster.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
            monster.connect(address)
            assert monitor.poll(30_000)
            monster.disable_monitor()
        with Subscription(address) as reader:
            wait_for_subscriber(publisher)
            publisher.publish(STATUS)
            assert reader.receive(timeout_s=30)


SAMPLE = re.compile(r'kwsd_[a-z_]+(\{[a-z]+="(\\[\\"n]|[^\\"\n])*"\})? [0-9.e+-]+')


def test_every_line_for_prometheus_is_a_comment_or_a_sample_of_its_family() -> None:
    text = prometheus_text(STATUS)
    assert text.endswith("\n")
    family = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert kind == ("counter" if family.endswith("_total") else "gauge")
        elif not line.startswith("# HELP kwsd_"):
            assert SAMPLE.fullmatch(line)
            assert re.split("[ {]", line)[0] == family


@pytest.mark.parametrize(
    "line",
    [
        'kwsd_state{state="listening"} 1',
        'kwsd_state{state="lost"} 0',
        "kwsd_windows_total 12",
        'kwsd_events_total{keyword="go"} 3',
        r'kwsd_events_total{keyword="a \"quoted\" \\ word"} 0',
        "kwsd_gaps_total 1",
        "kwsd_clips_written_total 5",
        'kwsd_inference_seconds{quantile="0.99"} 0.002',
    ],
)
def test_the_status_for_prometheus_has_its_counts(line: str) -> None:
    assert line in prometheus_text(STATUS).splitlines()


@pytest.mark.parametrize(("level", "logged"), [("info", True), ("warning", False)])
def test_the_log_level_decides_whether_the_log_contains_the_words(
    program: str, runtime: Path, two_words: Path, level: str, *, logged: bool
) -> None:
    with closing(Running(program, runtime, "--log-level", level)) as running:
        running.speak(soundfile.read(two_words)[0])
        assert running.heard() == ["go", "stop"]
        running.process.wait()
        log = "\n".join(running.log())
    assert ("go (score" in log) is logged
    assert ("stop (score" in log) is logged
