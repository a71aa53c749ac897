"""``kwsd monitor``: the events that it needs, the screen, and the keys."""

import io
import itertools
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import jsonschema
import msgspec
import numpy as np
import pytest
import zmq
from helpers import publishing
from helpers.command import Command
from helpers.publishing import keyword_event, wait_for_subscriber
from helpers.running import Running
from helpers.terminal import Terminal, plain
from rich.cells import cell_len
from rich.console import Console

from kwsd.bus import events
from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.bus.events import MonitorEvent
from kwsd.bus.publisher import Publisher
from kwsd.monitor.screen import draw_screen
from kwsd.monitor.view import MonitorView
from kwsd.monitor.watch import THRESHOLD_STEP

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "events.schema.json").read_text("utf-8"))
SECOND = np.random.default_rng(0).normal(0, 0.01, 16_000)


@pytest.fixture
def running(program: str, runtime: Path) -> Iterator[Running]:
    with closing(Running(program, runtime)) as daemon:
        yield daemon


def monitor_events(subscription: Subscription, count: int) -> list[MonitorEvent]:
    found: list[MonitorEvent] = []
    while len(found) < count:
        message = subscription.receive(timeout_s=30)
        assert message
        event = events.decode_event(message.body)
        if isinstance(event, MonitorEvent):
            assert message.topic == events.MONITOR_TOPIC
            jsonschema.validate(json.loads(message.body), SCHEMA)
            found.append(event)
    return found


def watching(running: Running) -> Subscription:
    """A subscription to monitor events that is in place."""
    subscription = Subscription(running.subscription.address, monitor=True)
    assert subscription.receive(timeout_s=30)
    return subscription


# What is published


def test_a_subscriber_to_monitor_events_receives_level_scores_and_bands_of_every_window(running: Running) -> None:
    with watching(running) as subscription:
        running.speak(SECOND)
        found = monitor_events(subscription, 12)
    assert [event.seq for event in found] == list(range(1, 13))
    assert {after.sample - before.sample for before, after in itertools.pairwise(found)} == {1280}
    assert all(event.level_db == pytest.approx(-40, abs=1) for event in found[1:])
    assert all(-40 < event.peak_db < -25 for event in found[1:])
    assert all(len(event.bands_db) == 32 for event in found)
    assert list(found[0].scores) == ["down", "go", "left", "no", "right", "stop", "up", "yes"]


def test_a_subscriber_to_everything_does_not_count_as_watching(running: Running) -> None:
    with zmq.Context() as context, closing(context.socket(zmq.SUB)) as everything:
        everything.subscribe(b"")
        everything.connect(running.subscription.address)
        assert everything.recv_multipart()[0] == b"kwsd.status"
        running.speak(SECOND)
        while (status := send_request("status", running.control)).windows < 12:
            pass
        topics = set()
        while True:
            topic, body = everything.recv_multipart()
            topics.add(topic)
            if json.loads(body)["seq"] == status.seq:
                break
    assert topics == {b"kwsd.status"}


def test_while_muted_no_monitor_events_are_published(running: Running) -> None:
    with watching(running) as subscription:
        running.speak(SECOND)
        before = monitor_events(subscription, 12)[-1]
        send_request("mute", running.control)
        running.speak(SECOND)
        while send_request("status", running.control).queued_blocks:
            pass
        send_request("unmute", running.control)
        running.speak(np.tile(SECOND, 3))
        after = monitor_events(subscription, 1)[0]
    assert after.seq == before.seq + 1
    assert after.sample > before.sample + 12 * 1280


def test_the_publisher_knows_when_the_last_watcher_has_gone(runtime: Path) -> None:
    with Publisher(f"ipc://{runtime}/events.sock") as publisher:
        with Subscription(publisher.address, monitor=True):
            wait_for_subscriber(publisher)
            assert publisher.has_monitor_subscribers
            with Subscription(publisher.address, monitor=True):
                wait_for_subscriber(publisher)
            with Subscription(publisher.address):
                wait_for_subscriber(publisher)
            assert publisher.has_monitor_subscribers
        while publisher.has_monitor_subscribers:
            publisher.read_subscriptions()


def test_monitor_events_are_not_published_on_tcp() -> None:
    with zmq.Context() as context, closing(context.socket(zmq.REP)) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    address = f"tcp://127.0.0.1:{port}"
    with Publisher(address) as publisher, Subscription(address, monitor=True):
        wait_for_subscriber(publisher)
        assert not publisher.has_monitor_subscribers


# What is drawn

STATUS = msgspec.structs.replace(
    publishing.STATUS,
    keywords=["go", "stop", "yes"],
    source="USB microphone",
    uptime_s=10,
    windows=100,
    events=1,
    gaps=2,
    reconnects=3,
    thresholds={"go": 0.9, "stop": 0.5, "yes": 0.8},
    cpu_s=1,
)
HEARD = MonitorEvent(
    run="r",
    seq=1,
    sample=1280,
    level_db=-40,
    peak_db=-20,
    scores={"go": 0.25, "stop": 0.75, "yes": 0},
    bands_db=[-30] * 16 + [-100] * 16,
)
KEYWORD = msgspec.structs.replace(keyword_event("stop"), score=0.75, source="USB microphone")


def view(*taken: events.Event, now_s: float = 0, stream: str = "") -> MonitorView:
    made = MonitorView(stream)
    for event in taken:
        made.update(event, now_s)
    return made


Colours = Literal["standard", "256", "truecolor"] | None


def drawn(
    shown: MonitorView, now_s: float = 0, *, width: int = 80, height: int = 24, colours: Colours = None
) -> list[str]:
    screen = io.StringIO()
    console = Console(
        file=screen, width=width, height=height, force_terminal=True, color_system=colours, no_color=not colours
    )
    console.print(draw_screen(shown, now_s))
    lines = plain(screen.getvalue().encode()).splitlines()[:height]
    assert [cell_len(line) for line in lines] == [width] * height
    return lines


def line_with(lines: list[str], word: str) -> str:
    (line,) = [line for line in lines if word in line]
    return line


def test_a_word_s_line_has_its_score_its_threshold_and_a_bar_between_them() -> None:
    lines = drawn(view(STATUS, HEARD))
    assert "▸ go" in line_with(lines, "0.25/0.900")
    over, under = line_with(lines, "0.75/0.500"), line_with(lines, "0.25/0.900")
    assert over.index("┃") < over.rindex("█", 0, 30) < under.index("┃")
    assert under.index("█") < under.rindex("·", 0, 30) < under.index("┃")


def test_the_newest_column_of_the_spectrogram_is_on_the_right_with_low_frequencies_below() -> None:
    lines = drawn(view(STATUS, HEARD))
    picture = [line[41:-2] for line in lines[5:14]]
    assert [line[-1] for line in picture] == [" "] * 4 + ["▓"] * 5
    assert all(line[:-1].strip() == "" for line in picture)


def test_level_events_and_health_are_shown() -> None:
    lines = drawn(view(STATUS, HEARD, KEYWORD))
    assert line_with(lines, "-40 dB, peak  -20 dB")
    assert line_with(lines, f"{'stop':<16} 0.75")
    assert line_with(lines, "gaps       2, 0 blocks dropped")
    assert line_with(lines, "reconnects 3")


@pytest.mark.parametrize("colours", [None, "standard", "256", "truecolor"])
@pytest.mark.parametrize("size", [(80, 24), (81, 25), (200, 70)])
@pytest.mark.parametrize(
    "shown",
    [
        MonitorView(),
        view(STATUS, HEARD, KEYWORD),
        view(msgspec.structs.replace(STATUS, state="lost", reason="the input device is gone " * 9), HEARD),
        view(msgspec.structs.replace(STATUS, keywords=[f"{n} is a long word" for n in range(99)]), KEYWORD, HEARD),
        view(msgspec.structs.replace(STATUS, keywords=[]), HEARD),
        view(STATUS, *[HEARD] * 500, *[KEYWORD] * 100),
    ],
    ids=["nothing", "usual", "lost", "many words", "no words", "long"],
)
def test_the_screen_always_fills_the_terminal_exactly(
    shown: MonitorView, size: tuple[int, int], colours: Colours
) -> None:
    drawn(shown, width=size[0], height=size[1], colours=colours)


def test_a_selected_word_is_shown_however_many_there_are() -> None:
    words = [f"word{n}" for n in range(99)]
    shown = view(msgspec.structs.replace(STATUS, keywords=words))
    for selected in range(99):
        assert line_with(drawn(shown), "▸").split()[2] == words[selected]
        shown.select(1)
    assert shown.selected_keyword == "word0"


def test_the_cpu_time_is_that_between_two_statuses_of_one_run() -> None:
    shown = view(STATUS)
    assert shown.cpu_percent is None
    shown.update(msgspec.structs.replace(STATUS, uptime_s=15, cpu_s=1.1), 5)
    assert shown.cpu_percent == pytest.approx(2)
    shown.update(msgspec.structs.replace(STATUS, uptime_s=15.1, cpu_s=1.2), 5)
    assert shown.cpu_percent == pytest.approx(2)
    shown.update(msgspec.structs.replace(STATUS, run="another", uptime_s=1, cpu_s=0.2), 6)
    assert shown.cpu_percent is None


def test_a_daemon_without_a_status_for_three_intervals_is_gone() -> None:
    assert " kwsd listening" in drawn(view(STATUS, now_s=100), 115)[0]
    assert " kwsd gone" in drawn(view(STATUS, now_s=100), 115.1)[0]


def test_while_the_device_is_lost_no_old_level_is_shown() -> None:
    lines = drawn(view(STATUS, HEARD, msgspec.structs.replace(STATUS, state="lost", reason="unplugged")))
    assert "lost  unplugged" in lines[0]
    assert line_with(lines, "no audio")


def test_of_several_streams_one_is_shown_with_its_name() -> None:
    desk, door = (
        msgspec.structs.replace(STATUS, stream=name, source=f"{name} microphone") for name in ("desk", "door")
    )
    heard = msgspec.structs.replace(HEARD, stream="desk")
    lines = drawn(view(desk, door, heard, msgspec.structs.replace(KEYWORD, stream="desk"), stream="door"))
    assert "kwsd listening on door  door microphone" in lines[0]
    assert line_with(lines, "no audio")
    assert line_with(lines, "no keyword yet")


# The command


@pytest.fixture
def terminal(kwsd: Command, running: Running) -> Iterator[Terminal]:
    """A monitor that watches the daemon."""
    command = [kwsd.program, "monitor", "--connect", running.subscription.address]
    with closing(Terminal(*command, environment=kwsd.environment)) as terminal:
        yield terminal


def test_the_monitor_shows_what_the_daemon_hears(terminal: Terminal, running: Running) -> None:
    terminal.wait_for(lambda screen: "kwsd listening" in screen)
    running.speak(SECOND)
    terminal.wait_for(lambda screen: "-40 dB" in screen)


def test_keys_mute_select_and_set_thresholds_which_are_printed_at_the_end(terminal: Terminal, running: Running) -> None:
    before = send_request("status", running.control).thresholds
    terminal.wait_for(lambda screen: "kwsd listening" in screen)
    terminal.press("m")
    terminal.wait_for(lambda screen: "kwsd muted" in screen)
    assert send_request("status", running.control).state == "muted"
    terminal.press("m", "\x1b[B", "\x1b[B", "\x1b[A", "-", "-", "-", "+")
    lower = round(before["go"], 3) - 2 * THRESHOLD_STEP
    terminal.wait_for(lambda screen: "kwsd listening" in screen and "▸ go" in screen and f"/{lower:.3f}" in screen)
    assert send_request("status", running.control).thresholds == before | {"go": pytest.approx(lower, abs=1e-9)}
    terminal.press("q")
    code, said = terminal.ended()
    assert code == 0
    assert said.endswith(f'[thresholds]\n"go" = {lower:.3g}\n')
    assert terminal.is_as_before()


def test_a_terminal_that_is_too_small_shows_a_message_until_it_is_large_again(terminal: Terminal) -> None:
    terminal.wait_for(lambda screen: "kwsd listening" in screen)
    terminal.resize(79, 24)
    terminal.wait_for(lambda screen: "needs a terminal of 80 x 24 characters: this one has 79 x 24" in screen)
    terminal.resize(80, 24)
    terminal.wait_for(lambda screen: "kwsd listening" in screen)


def test_a_refusal_is_shown_and_the_monitor_goes_on(terminal: Terminal, running: Running) -> None:
    terminal.wait_for(lambda screen: "kwsd listening" in screen)
    running.log()
    terminal.wait_for(lambda screen: "kwsd gone" in screen)
    terminal.press("m")
    terminal.wait_for(lambda screen: "no kwsd is running at" in screen)
    terminal.press("q")
    assert terminal.ended()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_monitor_that_is_interrupted_leaves_the_terminal_as_it_was(
    terminal: Terminal, number: signal.Signals
) -> None:
    terminal.wait_for(lambda screen: "kwsd listening" in screen)
    terminal.process.send_signal(number)
    assert terminal.ended()[0] == 130
    assert terminal.is_as_before()


def test_without_colours_there_are_none(kwsd: Command, running: Running) -> None:
    command = ["env", "NO_COLOR=1", kwsd.program, "monitor", "--connect", running.subscription.address]
    with closing(Terminal(*command, environment=kwsd.environment)) as terminal:
        terminal.wait_for(lambda screen: "kwsd listening" in screen)
        running.speak(SECOND)
        terminal.wait_for(lambda screen: "-40 dB" in screen)
        colours = [b"\x1b[3%d" % n for n in range(9)] + [b"\x1b[4%d" % n for n in range(9)] + [b"38;", b"48;"]
        assert not any(colour in terminal.drawn for colour in colours)


def test_a_daemon_for_one_device_detects_the_words_and_ends_with_the_recording(kwsd: Command, two_words: Path) -> None:
    # The daemon must not import modules from the working directory.
    (kwsd.home / "typer.py").write_text("raise SystemExit('not this one')")
    command: list[str | Path] = ["env", "-C", kwsd.home, kwsd.program, "monitor", "--device", f"file:{two_words}"]
    with closing(Terminal(*command, environment=kwsd.environment)) as terminal:
        terminal.wait_for(lambda screen: len(re.findall(r"\d\d:\d\d:\d\d  [a-z]+ +[01]\.\d\d", screen)) == 2)
        code, said = terminal.ended()
        assert code == 0
        assert said.endswith(f"file:{two_words} has ended\n")
        assert terminal.is_as_before()


def test_a_daemon_for_one_device_that_cannot_listen_reports_why(kwsd: Command, runtime: Path) -> None:
    command = [kwsd.program, "monitor", "--device", f"file:{runtime}/none.wav"]
    with closing(Terminal(*command, environment=kwsd.environment)) as terminal:
        code, said = terminal.ended()
    assert code == 65
    assert said.endswith(f"kwsd: cannot read {runtime}/none.wav: No such file or directory\n")


@pytest.mark.parametrize(
    ("arguments", "columns", "code", "sentence"),
    [
        ([], 100, 69, "no kwsd is running at ipc://"),
        (["--connect", "nowhere"], 100, 73, "event address 'nowhere' must begin with"),
        (["--connect", "tcp://127.0.0.1:5555"], 100, 2, "tcp://127.0.0.1:5555 has no scores and levels"),
        (["--device", "-"], 100, 2, "kwsd monitor cannot listen to standard input"),
        (["--device", "default", "--connect", "ipc:///x"], 100, 2, "use either --device"),
        (["--device", "default", "--stream", "desk"], 100, 2, "use either --device"),
        (["--device", f"file:{os.devnull}"], 79, 2, "kwsd monitor needs a terminal of 80 x 24 characters"),
    ],
    ids=["no daemon", "no address", "tcp", "standard input", "both", "stream", "small"],
)
def test_what_is_impossible_is_reported_in_one_sentence(
    kwsd: Command, arguments: list[str], columns: int, code: int, sentence: str
) -> None:
    with closing(
        Terminal(kwsd.program, "monitor", *arguments, environment=kwsd.environment, columns=columns)
    ) as terminal:
        found, said = terminal.ended()
    assert (found, said.count("\n")) == (code, 1)
    assert said.startswith(f"kwsd: {sentence}")


def test_without_a_terminal_it_ends_with_a_message(kwsd: Command, running: Running) -> None:
    done = kwsd.run("monitor", "--connect", running.subscription.address)
    assert done.stderr == "kwsd: kwsd monitor needs a terminal; programs can use kwsd listen --json\n"
    assert done.returncode == 2
