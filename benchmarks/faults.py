"""Measures how the daemon handles faults; the first table of ``docs/internals/reliability.md``.

``python benchmarks/faults.py`` runs each fault five times with a private PulseAudio server and prints Markdown.
"""

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.listening import Listening  # noqa: E402  the folder of the line before
from helpers.pulse import PulseAudio, running_pulse  # noqa: E402

from kwsd.bus.events import KeywordEvent, StatusEvent  # noqa: E402

PROGRAM = str(Path(sys.executable).with_name("kwsd"))
CLIPS = ROOT / "tests" / "data" / "clips"

FIRST, SECOND = "stop", "left"
"""The word before the fault, and the word after the daemon reports that it listens again."""

DECISION_S = 4.0
"""Seconds after a word in which its event must arrive. An idle PulseAudio delivers audio up to 2 s late."""

PATIENCE_S = 60.0

HOLDS_S = (0.0, 1.5, 3.0, 7.0, 5.0)
"""Seconds from the detection of a fault to its end, one value per run. They vary the phase of the daemon's retries."""

Condition = Callable[[StatusEvent], bool]


def is_lost(status: StatusEvent) -> bool:
    """Whether the daemon reports a lost source."""
    return status.state == "lost"


def is_listening(status: StatusEvent) -> bool:
    """Whether the daemon reports that it listens and that there is no problem."""
    return status.state == "listening" and not status.reason


def reports_silence(status: StatusEvent) -> bool:
    """Whether the daemon reports digital silence."""
    return status.state == "listening" and bool(status.reason)


def reports_gap(status: StatusEvent) -> bool:
    """Whether the daemon reports a gap in the audio."""
    return status.gaps > 0


@dataclass
class Rig:
    """A sound server and a daemon for one run.

    Parameters
    ----------
    pulse : PulseAudio
        The private sound server.
    hold_s : float
        Seconds from the detection of the fault to its end.
    stack : ExitStack
        The resources of the run. The caller closes it.
    detected : list of str
        The keywords of all events so far.
    """

    pulse: PulseAudio
    hold_s: float
    stack: ExitStack
    detected: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def start(self, *options: str | Path, managed: bool = False) -> Listening:
        """Start the daemon."""
        self.daemon = self.stack.enter_context(closing(Listening(self.pulse, PROGRAM, *options, managed=managed)))
        return self.daemon

    def start_listening(self, *options: str | Path) -> None:
        """Start the daemon, and play the first word when it listens."""
        self.start(*options)
        self.seconds(lambda status: status.state == "listening")
        self.speak(FIRST)

    def seconds(self, condition: Condition, cause: Callable[[], object] = lambda: None) -> float:
        """Seconds from the cause of a fault until a status that meets a condition."""
        started_s = time.monotonic()
        cause()
        while True:
            event = self.daemon.receive()
            if isinstance(event, KeywordEvent):
                self.detected.append(event.keyword)
            elif condition(event):
                return time.monotonic() - started_s
            if time.monotonic() - started_s > PATIENCE_S:
                raise TimeoutError(f"the daemon says only {event}")

    def speak(self, word: str, speaker: str = "speaker") -> None:
        """Play a word, and wait until its event must have arrived."""
        self.expected.append(word)
        self.pulse.play(min((CLIPS / word).glob("*.flac")), speaker)
        self.listen(DECISION_S)

    def listen(self, seconds: float) -> None:
        """Receive events for some time."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if (message := self.daemon.subscription.receive(left_s)) and message.topic.startswith("kwsd.keyword."):
                self.detected.append(message.topic.rpartition(".")[2])


Times = tuple[float | None, float]
"""Seconds until the daemon noticed the fault, and from the end of the fault until it listened again."""


def server_killed(rig: Rig) -> Times:
    rig.start_listening()
    noticed_s = rig.seconds(is_lost, rig.pulse.kill)
    rig.listen(rig.hold_s)
    rig.pulse.start()
    return noticed_s, rig.seconds(is_listening)


def server_missing(rig: Rig) -> Times:
    rig.pulse.kill()
    rig.start(managed=True)
    noticed_s = rig.seconds(is_lost)
    rig.listen(rig.hold_s)
    rig.pulse.start()
    return noticed_s, rig.seconds(is_listening)


def server_frozen(rig: Rig) -> Times:
    rig.start_listening()
    noticed_s = rig.seconds(is_lost, lambda: rig.pulse.signal(signal.SIGSTOP))
    rig.listen(rig.hold_s)
    return noticed_s, rig.seconds(is_listening, lambda: rig.pulse.signal(signal.SIGCONT))


def server_frozen_before(rig: Rig) -> Times:
    rig.pulse.signal(signal.SIGSTOP)
    rig.start()
    noticed_s = rig.seconds(is_lost)
    rig.listen(rig.hold_s)
    return noticed_s, rig.seconds(is_listening, lambda: rig.pulse.signal(signal.SIGCONT))


def source_replaced(rig: Rig) -> Times:
    rig.start_listening()
    noticed_s = rig.seconds(is_lost, rig.pulse.remove_speakers)
    rig.listen(rig.hold_s)
    return noticed_s, rig.seconds(is_listening, lambda: rig.pulse.add_speaker("speaker"))


def index_changed(rig: Rig) -> Times:
    rig.start_listening("--device", "0")
    noticed_s = rig.seconds(is_lost, rig.pulse.kill)
    rig.listen(rig.hold_s)
    rig.pulse.add_device("another")
    rig.pulse.start()
    return noticed_s, rig.seconds(is_listening)


def default_changed(rig: Rig) -> Times:
    rig.start_listening()
    rig.pulse.add_speaker("headset")
    rig.seconds(reports_silence)
    with rig.pulse.noise("headset"):
        again_s = rig.seconds(is_listening, lambda: rig.pulse.control("set-default-source", "headset.monitor"))
        rig.speak(SECOND, "headset")
    return None, again_s


def default_removed(rig: Rig) -> Times:
    headset = rig.pulse.add_speaker("headset")
    rig.pulse.control("set-default-source", "headset.monitor")
    rig.start()
    rig.seconds(reports_silence)
    rig.stack.enter_context(rig.pulse.noise())
    return None, rig.seconds(is_listening, lambda: rig.pulse.control("unload-module", headset))


def blocks_stopped(rig: Rig) -> Times:
    rig.start_listening()
    noticed_s = rig.seconds(is_lost, lambda: rig.pulse.control("suspend-sink", "speaker", "1"))
    rig.listen(rig.hold_s)
    return noticed_s, rig.seconds(is_listening, lambda: rig.pulse.control("suspend-sink", "speaker", "0"))


def no_block(rig: Rig) -> Times:
    rig.pulse.control("suspend-sink", "speaker", "1")
    rig.start()
    rig.seconds(lambda _status: True)
    noticed_s = rig.seconds(is_lost)
    rig.listen(rig.hold_s)
    return noticed_s, rig.seconds(is_listening, lambda: rig.pulse.control("suspend-sink", "speaker", "0"))


def muted(rig: Rig) -> Times:
    rig.stack.enter_context(rig.pulse.noise())
    rig.start_listening()
    noticed_s = rig.seconds(reports_silence, lambda: rig.pulse.control("set-source-mute", "speaker.monitor", "1"))
    rig.listen(rig.hold_s)
    return noticed_s, rig.seconds(is_listening, lambda: rig.pulse.control("set-source-mute", "speaker.monitor", "0"))


def slept(rig: Rig) -> Times:
    rig.stack.enter_context(rig.pulse.noise())
    rig.start_listening()
    rig.daemon.signal(signal.SIGSTOP)
    time.sleep(3 + rig.hold_s)
    seconds = rig.seconds(reports_gap, lambda: rig.daemon.signal(signal.SIGCONT))
    return seconds, seconds


def hop_too_long(rig: Rig) -> Times:
    rig.stack.enter_context(rig.pulse.noise())
    configuration = Path(rig.stack.enter_context(tempfile.TemporaryDirectory())) / "config.toml"
    os.mkfifo(configuration)
    feeder = rig.start("--config", configuration)
    configuration.write_text("")
    rig.seconds(is_listening)
    rig.speak(FIRST)
    feeder.signal(signal.SIGHUP)
    # The audio loop waits for the configuration, so the queue overflows.
    with configuration.open("w"):
        time.sleep(3 + rig.hold_s)
    seconds = rig.seconds(reports_gap)
    return seconds, seconds


@dataclass(frozen=True)
class Fault:
    """A fault: one row of the table."""

    name: str
    does: str
    run: Callable[[Rig], Times]
    test: str


LOSS, DEFAULT, GAPS = (f"tests/daemon/test_{name}.py" for name in ("loss", "default_source", "gaps"))
REOPENS = (
    "The state changes to `lost`, and the status contains the reason. "
    "The daemon restarts PortAudio and retries after 0.5, 1, 2, 3, 3 … s."
)
WAITS = (
    'The state changes to `lost`, with the reason "delivers no audio". The daemon continues if a block arrives. '
    "After 15 s without a block, the daemon exits with code 75."
)
GAP = "The daemon drops the audio that it cannot keep, counts a gap and empties the window."
MOVES = "The daemon does nothing, because the sound server (PulseAudio or PipeWire) moves the stream to another source."

FAULTS = (
    Fault(
        "the sound server is killed and started again",
        REOPENS,
        server_killed,
        f"{LOSS}::test_a_daemon_whose_sound_server_was_restarted_hears_the_next_word",
    ),
    Fault(
        "no sound server runs when the service starts",
        REOPENS,
        server_missing,
        f"{LOSS}::test_under_a_service_manager_the_daemon_waits_for_a_sound_server_that_is_not_there",
    ),
    Fault(
        "the sound server freezes",
        WAITS,
        server_frozen,
        f"{LOSS}::test_a_sound_server_that_freezes_is_noticed_and_its_return_too",
    ),
    Fault(
        "the sound server is already frozen when the daemon starts",
        WAITS,
        server_frozen_before,
        f"{LOSS}::test_a_sound_server_that_is_frozen_at_the_start_is_noticed_and_its_return_too",
    ),
    Fault(
        "the only microphone is removed and comes back as another source",
        REOPENS,
        source_replaced,
        f"{LOSS}::test_a_microphone_that_is_taken_away_and_comes_back_as_another_source_is_heard_again",
    ),
    Fault(
        "a device comes back under another index",
        "The daemon reconnects to the device by its name, although the configuration names the old index.",
        index_changed,
        f"{LOSS}::test_a_device_that_was_chosen_by_its_index_is_found_by_its_name_under_another",
    ),
    Fault(
        "the stream opens, but no block arrives",
        WAITS,
        no_block,
        f"{LOSS}::test_a_source_that_opens_and_never_delivers_is_noticed_and_its_first_block_too",
    ),
    Fault(
        "blocks stop arriving while the stream is open",
        WAITS,
        blocks_stopped,
        f"{LOSS}::test_blocks_that_stop_while_the_stream_is_open_are_noticed_and_their_return_too",
    ),
    Fault(
        "another source becomes the default source",
        MOVES,
        default_changed,
        f"{DEFAULT}::test_a_new_default_source_is_heard_from_then_on",
    ),
    Fault(
        "the default source is removed while another source exists",
        MOVES,
        default_removed,
        f"{DEFAULT}::test_when_the_default_source_is_taken_away_another_is_heard",
    ),
    Fault(
        "the microphone is muted and delivers only zeros",
        "The status reports that the source delivers only zeros. The daemon does not reconnect to the source.",
        muted,
        f"{DEFAULT}::test_a_muted_microphone_is_said_and_heard_again_when_it_is_unmuted",
    ),
    Fault(
        "the buffers overflow because the computer or the process sleeps for at least 3 s",
        GAP,
        slept,
        f"{GAPS}::test_a_computer_that_slept_hears_the_next_word",
    ),
    Fault(
        "the queue overflows because a hop takes at least 3 s",
        GAP,
        hop_too_long,
        f"{GAPS}::test_a_hop_that_takes_too_long_costs_audio_and_the_next_word_is_heard",
    ),
)


def measure(fault: Fault, runs: int) -> str:
    """Run a fault several times, and return its row of the table."""
    noticed, again, spoken, wrong = [], [], 0, 0
    for run in range(runs):
        with running_pulse() as pulse, ExitStack() as stack:
            rig = Rig(pulse, HOLDS_S[run % len(HOLDS_S)], stack)
            notice_s, again_s = fault.run(rig)
            if SECOND not in rig.expected:
                rig.speak(SECOND)
            print(f"{fault.name}: {notice_s} {again_s} {rig.expected} {rig.detected}", file=sys.stderr, flush=True)
        noticed += [] if notice_s is None else [notice_s]
        again.append(again_s)
        spoken += len(rig.expected)
        wrong += rig.detected != rig.expected
    lost_words = "none" if not wrong else f"in {wrong} runs"
    return (
        f"| {fault.name} | {fault.does} | {_median_and_worst(noticed)} | {_median_and_worst(again)}"
        f" | {lost_words} of {spoken} | `{fault.test}` |"
    )


def _median_and_worst(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f}, {max(seconds):.2f}" if seconds else "none"


def main(
    runs: Annotated[int, typer.Option(min=1, help="Runs of each fault.")] = 5,
    only: Annotated[str, typer.Option(help="Run only faults whose name contains this text.")] = "",
) -> None:
    """Print the table of faults as Markdown, and the details of each run on standard error."""
    print("| fault | what the daemon does | seconds until the daemon notices the fault (median, worst)", end="")
    print(" | seconds until the daemon listens again (median, worst) | words lost or reported twice | test |")
    print("|---|---|---|---|---|---|")
    for fault in FAULTS:
        if only in fault.name:
            print(measure(fault, runs), flush=True)


if __name__ == "__main__":
    typer.run(main)
