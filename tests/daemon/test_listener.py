"""A listener with real parts and a source in memory: what becomes of blocks, gaps, faults and requests."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.stream import Parts, Script, Step, build_parts

from kwsd import Spotter, load_model
from kwsd.audio.capture import End
from kwsd.audio.source import BLOCK_SAMPLES, Block
from kwsd.bus.events import KeywordEvent, StatusEvent
from kwsd.clips.clip import FIRED, ClipName, list_clips
from kwsd.config.schema import ClipsConfig, Config, StreamConfig
from kwsd.daemon.listener import DEAF_S, STUCK_S
from kwsd.errors import AudioDataError, AudioLostError
from kwsd.frontend import Float32

NOISE = np.random.default_rng(0).normal(0, 1e-3, 5 * BLOCK_SAMPLES).astype(np.float32)

Build = Callable[..., Parts]


@pytest.fixture
def build(runtime: Path) -> Iterator[Build]:
    """Builds the parts of a daemon whose only stream follows the given steps."""
    built: list[Parts] = []

    def parts(*steps: Step, live: bool = False, config: Config | None = None) -> Parts:
        built.append(build_parts(runtime, Script(*steps, live=live), config=config))
        return built[-1]

    yield parts
    for each in built:
        each.close()


@pytest.fixture(scope="module")
def words(two_words: Path) -> Float32:
    """Samples with two words."""
    samples, _ = soundfile.read(two_words, dtype="float32")
    return np.asarray(samples, np.float32)


def keywords(parts: Parts) -> list[KeywordEvent]:
    return [event for event in parts.events() if isinstance(event, KeywordEvent)]


def states(parts: Parts) -> list[tuple[str, str]]:
    return [(event.state, event.reason) for event in parts.events() if isinstance(event, StatusEvent)]


def test_a_recording_becomes_keyword_events_with_the_source_and_the_model(build: Build, words: Float32) -> None:
    parts = build(words)
    parts.take_all()
    found = keywords(parts)
    assert [event.seq for event in found] == [1, 1]
    assert {(event.source, event.stream, event.model) for event in found} == {("script", "", "default")}
    assert parts.listener.event_count == 2
    assert parts.listener.windows == len(words) // BLOCK_SAMPLES


def test_a_stream_starts_and_listens_and_stops(build: Build) -> None:
    parts = build(NOISE)
    parts.take_all()
    parts.listener.close()
    assert states(parts)[-2:] == [("listening", ""), ("stopping", "")]


def test_two_seconds_of_zeros_are_a_reason_and_sound_takes_it_back(build: Build) -> None:
    parts = build(NOISE, np.zeros(40_000, np.float32), NOISE)
    parts.take_all()
    reasons = [reason for _, reason in states(parts)]
    assert reasons == ["", "the source delivers only zeros: it is muted or the wrong one", ""]


def test_zeros_before_and_after_a_gap_are_counted_separately(build: Build) -> None:
    zeros = np.zeros(24_000, np.float32)
    parts = build(NOISE, zeros, Block(np.zeros(BLOCK_SAMPLES, np.float32), gap=True), zeros)
    parts.take_all()
    assert {reason for _, reason in states(parts)} == {""}
    assert parts.listener.publish_status().gaps == 1


def test_a_word_is_detected_if_a_noise_gate_puts_zeros_right_after_it(build: Build, words: Float32) -> None:
    first = Spotter(load_model()).feed(words)[0]
    parts = build(words[: first.sample - 4000], np.zeros(16_000, np.float32), NOISE)
    parts.take_all()
    assert [event.keyword for event in keywords(parts)] == [first.keyword]


def test_a_word_at_the_end_of_a_file_is_saved_as_a_clip(build: Build, words: Float32, tmp_path: Path) -> None:
    second = Spotter(load_model()).feed(words)[1]
    config = Config(device="-", clips=ClipsConfig(folder=str(tmp_path / "clips")))
    parts = build(words[: second.sample - 4000], config=config)
    parts.take_all()
    parts.listener.close()
    names = [ClipName.parse(path) for path in list_clips(tmp_path / "clips")]
    saved = [name.keyword for name in names if name and name.kind == FIRED]
    assert sorted(saved) == sorted(event.keyword for event in keywords(parts))
    assert second.keyword in saved


def test_muted_audio_is_neither_scored_nor_published(build: Build, words: Float32) -> None:
    parts = build(words)
    parts.listener.mute(on=True)
    parts.take_all()
    assert keywords(parts) == []
    assert parts.listener.windows == 0


def test_a_lost_source_is_reported_and_opened_again_and_its_audio_counts_a_gap(runtime: Path) -> None:
    sources = Script(NOISE, AudioLostError("unplugged"), live=True), Script(NOISE, live=True)
    with closing(build_parts(runtime, *sources)) as parts:
        parts.take_all()
        status = parts.listener.publish_status()
        assert [state for state, _ in states(parts)[:4]] == ["listening", "lost", "lost", "listening"]
        assert (status.gaps, status.reconnects) == (1, 1)


def test_the_first_audio_of_a_source_that_was_missing_at_the_start_counts_no_gap(runtime: Path) -> None:
    sources = Script(AudioLostError("unplugged"), live=True), Script(NOISE, live=True)
    with closing(build_parts(runtime, *sources)) as parts:
        parts.take_all()
        status = parts.listener.publish_status()
        assert [state for state, _ in states(parts)[:2]] == ["lost", "listening"]
        assert (status.gaps, status.reconnects) == (0, 1)


def test_the_first_audio_of_a_source_that_delivers_late_counts_no_gap(build: Build) -> None:
    waiting = threading.Event()
    parts = build(waiting.wait, NOISE, live=True)
    opened = parts.inbox.next(60)
    assert opened
    parts.listener.take(opened[1])
    assert not parts.listener.report_stalled_capture(time.monotonic() + DEAF_S)
    assert not parts.listener.hears
    waiting.set()
    parts.take_all()
    assert states(parts)[-1] == ("listening", "")
    assert parts.listener.publish_status().gaps == 0


def test_audio_before_and_after_a_gap_is_never_joined(runtime: Path, words: Float32) -> None:
    with closing(build_parts(runtime, Script(words))) as whole:
        whole.take_all()
        first, _ = keywords(whole)
    middle = first.sample - 8000
    cut = Script(Block(words[:middle]), Block(words[middle : first.sample], gap=True), live=True)
    with closing(build_parts(runtime, cut)) as parts:
        parts.take_all()
        assert keywords(parts) == []


def test_a_live_source_without_blocks_is_lost_and_later_stuck(build: Build) -> None:
    waiting = threading.Event()
    parts = build(NOISE[:BLOCK_SAMPLES], waiting.wait, live=True)
    while not parts.listener.hears:
        found = parts.inbox.next(60)
        assert found
        parts.listener.take(found[1])
    deaf_s = parts.listener.due_s
    assert not parts.listener.report_stalled_capture(deaf_s - 0.1)
    assert parts.listener.hears
    assert not parts.listener.report_stalled_capture(deaf_s + 0.1)
    assert not parts.listener.hears
    assert parts.listener.report_stalled_capture(deaf_s + STUCK_S)
    assert states(parts)[-1] == ("lost", "script delivers no audio")
    waiting.set()


def test_thresholds_of_a_request_hold_at_once_and_are_in_the_status(build: Build, words: Float32) -> None:
    parts = build(words)
    parts.listener.set_thresholds({"go": 1.0, "stop": 1.0})
    parts.take_all()
    assert keywords(parts) == []
    assert parts.listener.publish_status().thresholds["go"] == 1.0
    assert parts.setup.model.detector.thresholds["go"] < 1


def test_another_model_brings_its_own_thresholds(build: Build) -> None:
    parts = build()
    parts.listener.set_thresholds({"go": 1.0})
    parts.listener.use_model(parts.setup.model.with_thresholds({"go": 0.5}))
    assert parts.listener.publish_status().thresholds["go"] == 0.5


@pytest.mark.parametrize(
    ("end", "state"),
    [(End(None), ("stopping", "its audio has ended")), (End(AudioDataError("truncated")), ("lost", "truncated"))],
)
def test_a_stream_that_ends_beside_others_says_so(build: Build, end: End, state: tuple[str, str]) -> None:
    parts = build()
    parts.listener.end_beside_others(end)
    assert states(parts) == [state]


def test_an_error_carries_the_name_of_its_stream(runtime: Path) -> None:
    config = Config(stream=[StreamConfig("door", "a"), StreamConfig("desk", "b")])
    with closing(build_parts(runtime, Script(), Script(), config=config)) as parts:
        door, _ = parts.listeners.values()
        named = door.name_error(AudioLostError("unplugged"))
        assert (type(named), str(named)) == (AudioLostError, "door: unplugged")
        assert door.name_error(other := ValueError("a defect")) is other
