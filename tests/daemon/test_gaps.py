"""Audio that is lost while the source is there: the daemon says so, begins its window anew, and hears the next word."""

import datetime
import signal
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import soundfile
from helpers.listening import Listening
from helpers.pulse import PulseAudio
from helpers.stream import Script, build_parts

from kwsd.audio.source import BLOCK_SAMPLES
from kwsd.bus.events import utc_now


def test_a_computer_that_slept_hears_the_next_word(pulse: PulseAudio, program: str, noise: Path, stop: Path) -> None:
    with closing(Listening(pulse, program)) as daemon:
        daemon.wait_for("listening")
        daemon.signal(signal.SIGSTOP)
        pulse.play(noise)
        daemon.signal(signal.SIGCONT)
        assert daemon.status(lambda status: status.gaps > 0).state == "listening"
        pulse.play(stop)
        assert daemon.keyword().keyword == "stop"
        assert len(daemon.log("audio was lost")) == 1


def test_a_word_that_waits_while_the_daemon_is_stopped_has_the_time_at_which_it_was_spoken(
    pulse: PulseAudio, program: str, noise: Path, stop: Path
) -> None:
    with closing(Listening(pulse, program)) as daemon:
        daemon.wait_for("listening")
        daemon.signal(signal.SIGSTOP)
        before = utc_now()
        pulse.play(stop)
        after = utc_now()
        pulse.play(noise)
        daemon.signal(signal.SIGCONT)
        event = daemon.keyword()
        assert event.keyword == "stop"
        assert before < event.time < after + datetime.timedelta(seconds=1)
        assert event.latency_ms > 3000
        published = event.time + datetime.timedelta(milliseconds=event.latency_ms)
        assert after < published < utc_now()
        # The next word has the present time again.
        daemon.status(lambda status: status.queued_blocks == 0)
        before = utc_now()
        pulse.play(stop)
        assert before < daemon.keyword().time
        assert len(daemon.log("s ago)")) == 1


def test_a_hop_that_takes_too_long_costs_audio_and_the_next_word_is_heard(
    runtime: Path, noise: Path, stop: Path
) -> None:
    before, word = (soundfile.read(path, dtype="float32")[0] for path in (noise, stop))
    after = np.zeros(16_000, np.float32)
    caught_up = threading.Event()
    with closing(build_parts(runtime, Script(before, caught_up.wait, word, after, live=True))) as parts:
        (capture,) = parts.listeners
        # Nobody takes the noise, which is longer than the queue.
        while capture.queued + capture.dropped < len(before) // BLOCK_SAMPLES:
            pass
        while capture.queued:
            found = parts.inbox.next(60)
            assert found
            parts.listener.take(found[1])
        caught_up.set()
        parts.take_all()
        status = parts.listener.publish_status()
        assert status.dropped_blocks > 0
        assert (status.gaps, status.events_by_keyword) == (1, {"stop": 1})
