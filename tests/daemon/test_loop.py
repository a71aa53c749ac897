"""The loop of the daemon with real parts and sources in memory: ends, errors, requests and reloads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import zmq
from helpers.stream import Parts, Script, build_parts

from kwsd.audio.source import BLOCK_SAMPLES, Source
from kwsd.bus.control import MAX_REQUESTS_PER_TURN, ControlServer, send_request, send_request_all_streams
from kwsd.bus.events import StatusEvent, decode_event
from kwsd.config.schema import Config, StreamConfig
from kwsd.daemon.listener import STUCK_S
from kwsd.daemon.loop import ROUND_S, Daemon
from kwsd.errors import AudioDataError, AudioLostError, ConfigError, ControlError

NOISE = np.random.default_rng(0).normal(0, 1e-3, 5 * BLOCK_SAMPLES).astype(np.float32)
TWO_STREAMS = Config(stream=[StreamConfig("door", "file:a"), StreamConfig("desk", "file:b")])


@contextmanager
def built(
    folder: Path, *sources: Source, config: Config | Callable[[], Config] | None = None
) -> Iterator[tuple[Daemon, Parts, str]]:
    """A daemon that does not run yet, its parts, and its control address."""
    address = f"ipc://{folder}/control.sock"
    with closing(build_parts(folder, *sources, config=config)) as parts, closing(ControlServer(address)) as control:
        daemon = Daemon(parts.setup, parts.listeners, parts.inbox, parts.publisher, control, parts.notifier)
        yield daemon, parts, address


@contextmanager
def running(daemon: Daemon) -> Iterator[Future[None]]:
    """The loop of a daemon in another thread, which ends with the context."""
    with ThreadPoolExecutor(1) as pool:
        loop = pool.submit(daemon.run)
        try:
            yield loop
        finally:
            daemon.stop()


@pytest.fixture
def endless() -> Iterator[Script]:
    """A source that delivers noise and then waits until the test has ended."""
    ended = threading.Event()
    yield Script(NOISE, ended.wait)
    ended.set()


def states_of(parts: Parts, stream: str) -> list[tuple[str, str]]:
    """States and reasons of a stream, each once, until the last stream stops."""
    found: list[tuple[str, str]] = []
    stopped: set[str] = set()
    while len(stopped) < len(parts.listeners) and (message := parts.subscription.receive(timeout_s=60)):
        event = decode_event(message.body)
        assert isinstance(event, StatusEvent)
        if event.stream == stream and (event.state, event.reason) not in found:
            found.append((event.state, event.reason))
        stopped |= {event.stream} if event.state in {"stopping", "lost"} else set()
    return found


def test_it_ends_when_its_only_source_has_ended(runtime: Path) -> None:
    with built(runtime, Script(NOISE)) as (daemon, parts, _):
        daemon.run()
        assert parts.listener.windows == 5


def test_an_error_of_its_only_source_ends_it_with_that_error(runtime: Path) -> None:
    with built(runtime, Script(NOISE, AudioDataError("truncated"))) as (daemon, parts, _):
        with pytest.raises(AudioDataError, match="truncated"):
            daemon.run()
        assert parts.listener.windows == 5


def test_a_stream_that_ends_leaves_the_other_one_running(runtime: Path) -> None:
    sources = Script(AudioDataError("truncated")), Script(NOISE)
    with built(runtime, *sources, config=TWO_STREAMS) as (daemon, parts, _):
        with pytest.raises(AudioDataError, match="door: truncated"):
            daemon.run()
        assert sum(listener.windows for listener in parts.listeners.values()) == 5
        assert ("lost", "truncated") in states_of(parts, "door")


def test_requests_mute_set_thresholds_and_stop(runtime: Path, endless: Script) -> None:
    with built(runtime, endless) as (daemon, _, address), running(daemon) as loop:
        while send_request("status", address).state != "listening":
            pass
        assert send_request("mute", address).state == "muted"
        assert send_request("unmute", address).state == "listening"
        assert send_request("thresholds", address, thresholds={"go": 0.5}).thresholds["go"] == 0.5
        with pytest.raises(ControlError, match="has no keyword 'house'"):
            send_request("thresholds", address, thresholds={"house": 0.5})
        send_request("stop", address)
        assert loop.result(timeout=60) is None


def test_a_flood_of_requests_is_answered_in_several_rounds(runtime: Path, endless: Script) -> None:
    count = 2 * MAX_REQUESTS_PER_TURN + 1
    with (
        built(runtime, endless) as (daemon, _, address),
        running(daemon),
        zmq.Context() as context,
        closing(context.socket(zmq.DEALER)) as client,
    ):
        client.connect(address)
        started_s = time.monotonic()
        for _ in range(count):
            client.send_multipart([b"", b'{"command": "status"}'])
        for _ in range(count):
            client.recv_multipart()
        # Two rounds lie between the first and the last reply, on a machine of any speed.
        assert time.monotonic() - started_s >= 2 * ROUND_S


def test_a_process_that_was_suspended_takes_no_device_for_stuck_until_the_next_round(runtime: Path) -> None:
    ended = threading.Event()
    with built(runtime, Script(NOISE, ended.wait, live=True)) as (daemon, parts, _):
        while not parts.listener.hears:
            received = parts.inbox.next(60)
            assert received
            parts.listener.take(received[1])
        now_s = time.monotonic()
        daemon.run_round(now_s)
        daemon.run_round(now_s + ROUND_S)
        resumed_s = now_s + 2 * STUCK_S
        daemon.run_round(resumed_s)
        assert parts.listener.hears
        with pytest.raises(AudioLostError, match="script hangs"):
            daemon.run_round(resumed_s + ROUND_S)
        ended.set()


def test_every_stream_answers_a_request(runtime: Path, endless: Script) -> None:
    with built(runtime, endless, Script(NOISE), config=TWO_STREAMS) as (daemon, _, address), running(daemon):
        answers = send_request_all_streams("status", address)
        assert {answer.stream for answer in answers} == {"door", "desk"}


def test_a_bad_reload_is_refused_and_the_old_settings_stay(runtime: Path, endless: Script) -> None:
    answers: Iterator[Config | ConfigError] = iter(
        [Config(device="-"), ConfigError("line 3 is wrong"), Config(device="-", thresholds={"go": 0.5})]
    )

    def read_config() -> Config:
        answer = next(answers)
        if isinstance(answer, ConfigError):
            raise answer
        return answer

    with built(runtime, endless, config=read_config) as (daemon, parts, address), running(daemon):
        before = send_request("status", address).thresholds
        with pytest.raises(ControlError, match="line 3 is wrong"):
            send_request("reload", address)
        assert send_request("status", address).thresholds == before
        assert send_request("reload", address).thresholds == before | {"go": 0.5}
        assert parts.setup.config.thresholds == {"go": 0.5}


def test_a_reload_by_signal_does_what_a_request_does(runtime: Path, endless: Script) -> None:
    configs = iter([Config(device="-"), Config(device="-", thresholds={"go": 0.5})])
    with built(runtime, endless, config=lambda: next(configs)) as (daemon, _, address), running(daemon):
        send_request("status", address)
        daemon.reload()
        while send_request("status", address).thresholds["go"] != 0.5:
            pass
