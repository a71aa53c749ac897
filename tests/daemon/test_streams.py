"""Several streams in one daemon, of which some end before it does."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.command import Command
from helpers.pipes import stderr_of, stdin_of
from helpers.terminal import Terminal

from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request_all_streams
from kwsd.bus.events import StatusEvent


@pytest.fixture
def config(runtime: Path) -> Path:
    """A configuration with a stream that ends after a fifth of a second, and one that lasts as its pipe does."""
    recording = runtime / "short.wav"
    soundfile.write(recording, np.zeros(3200), 16_000)
    path = runtime / "kwsd.toml"
    streams = {"tape": f"file:{recording}", "pipe": "-"}
    path.write_text("".join(f'[[stream]]\nname = "{name}"\ndevice = "{device}"\n' for name, device in streams.items()))
    return path


@pytest.fixture
def subscription(runtime: Path) -> Iterator[Subscription]:
    with Subscription(f"ipc://{runtime}/kwsd/events.sock") as subscription:
        yield subscription


@pytest.fixture
def daemon(kwsd: Command, config: Path, subscription: Subscription) -> subprocess.Popen[str]:
    """A daemon whose first stream has ended."""
    process = kwsd.start("run", "--config", config)
    os.write(stdin_of(process).fileno(), bytes(2560))
    assert status_of(subscription, "tape", "stopping").reason == "its audio has ended"
    return process


def statuses(subscription: Subscription) -> Iterator[StatusEvent]:
    while message := subscription.receive(timeout_s=30):
        event = events.decode_event(message.body)
        if isinstance(event, StatusEvent):
            yield event


def status_of(subscription: Subscription, stream: str, state: str) -> StatusEvent:
    return next(status for status in statuses(subscription) if (status.stream, status.state) == (stream, state))


@pytest.mark.usefixtures("daemon")
def test_a_stream_that_has_ended_says_so_while_the_other_goes_on(kwsd: Command, runtime: Path) -> None:
    control = f"ipc://{runtime}/kwsd/control.sock"
    for command in ("mute", "unmute", "status"):
        tape, _ = send_request_all_streams(command, control)
        assert (tape.stream, tape.state, tape.reason) == ("tape", "stopping", "its audio has ended")
    assert 'kwsd_state{stream="tape",state="stopping"} 1' in kwsd.run("status", "--prometheus").stdout.splitlines()


def test_a_stream_that_has_ended_is_told_of_no_more(
    daemon: subprocess.Popen[str], subscription: Subscription, runtime: Path
) -> None:
    with Subscription(f"ipc://{runtime}/kwsd/events.sock") as another:
        # Both streams would answer it, in their order.
        assert next(statuses(another)).stream == "pipe"
    stdin_of(daemon).close()
    assert status_of(subscription, "pipe", "stopping").reason == ""
    assert daemon.wait() == 0
    assert len(re.findall("tape: stopping", stderr_of(daemon).read())) == 1


def test_a_stream_that_cannot_be_opened_is_named(kwsd: Command, config: Path, runtime: Path) -> None:
    (runtime / "short.wav").unlink()
    done = kwsd.run("run", "--config", config)
    assert done.stderr == f"kwsd: tape: cannot read {runtime}/short.wav: No such file or directory\n"
    assert done.returncode == 65


def test_a_stream_whose_audio_is_bad_is_named_at_the_end_too(kwsd: Command, config: Path) -> None:
    done = kwsd.run("run", "--config", config)
    assert done.stderr.splitlines()[-1].startswith("kwsd: pipe: ")
    assert done.returncode == 65


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(
    ("wanted", "shown"),
    [([], "kwsd listening on pipe"), (["--stream", "tape"], "kwsd gone on tape  its audio has ended")],
    ids=["the first that has not ended", "the one that is wanted"],
)
def test_the_monitor_watches_one_stream(kwsd: Command, wanted: list[str], shown: str) -> None:
    with closing(Terminal(kwsd.program, "monitor", *wanted, environment=kwsd.environment)) as terminal:
        terminal.wait_for(lambda screen: shown in screen)
