"""Actions with a real daemon and real programs."""

import datetime
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
import pytest
import soundfile
from helpers.command import Command
from helpers.pipes import stderr_of, stdout_of
from helpers.publishing import keyword_event
from helpers.running import Running

from kwsd.actions import MAX_COMMANDS, ActionRunner
from kwsd.bus.events import KeywordEvent, decode_event
from kwsd.config.load import load_config
from kwsd.config.schema import ANY_KEYWORD, ActionConfig, Config
from kwsd.models.bundle import read_bundle
from kwsd.models.find import find_model

BROKER = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
"""The MQTT broker. Its folder is not in every user's PATH, because it is an administrator's program."""

# Commands that the events of a running daemon start


@pytest.fixture
def daemon(program: str, runtime: Path) -> Iterator[Running]:
    with closing(Running(program, runtime)) as running:
        yield running


@pytest.fixture
def speech(two_words: Path) -> np.ndarray:
    """The words "go" and "stop"."""
    samples: np.ndarray = soundfile.read(two_words)[0]
    return samples


def follower(kwsd: Command, daemon: Running, *arguments: str | Path) -> subprocess.Popen[str]:
    """A command that has received the status of the daemon."""
    process = kwsd.start(*arguments, "--connect", daemon.subscription.address)
    while "kwsd is listening" not in stderr_of(process).readline():
        assert process.poll() is None
    return process


def acting(kwsd: Command, daemon: Running, toml: str) -> subprocess.Popen[str]:
    path = kwsd.home / "config.toml"
    path.write_text(toml)
    return follower(kwsd, daemon, "act", "--config", path)


def test_listen_runs_a_program_for_each_event_and_waits_for_the_last(
    kwsd: Command, daemon: Running, speech: np.ndarray
) -> None:
    process = follower(kwsd, daemon, "listen", "--json", "--count", "2", "--exec", "printf '%s\n' '<{keyword}> $HOME;'")
    daemon.speak(speech)
    stdout, stderr = process.communicate()
    assert process.returncode == 0
    assert [json.loads(line)["keyword"] for line in stdout.splitlines()] == ["go", "stop"]
    # The keywords are not interpreted by a shell.
    assert sorted(stderr.splitlines()) == ["<go> $HOME;", "<stop> $HOME;"]


def test_each_keyword_has_its_own_command_or_that_of_all_others(
    kwsd: Command, daemon: Running, speech: np.ndarray
) -> None:
    process = acting(kwsd, daemon, '[actions]\ngo = "echo forward"\n"*" = "echo other {keyword}"\n')
    daemon.speak(speech)
    assert sorted(stderr_of(process).readline() for _ in range(2)) == ["forward\n", "other stop\n"]
    assert [stdout_of(process).readline().split()[1] for _ in range(2)] == ["go", "stop"]


def test_a_command_finds_the_event_in_its_environment(kwsd: Command, daemon: Running, speech: np.ndarray) -> None:
    script = "echo $KWSD_KEYWORD $KWSD_SCORE $KWSD_TIME $KWSD_ID; echo $KWSD_EVENT"
    process = acting(kwsd, daemon, f'[actions.go]\ncommand = "{script}"\nshell = true\n')
    daemon.speak(speech)
    keyword, score, time, id_ = stderr_of(process).readline().split()
    event = decode_event(stderr_of(process).readline().encode())
    assert isinstance(event, KeywordEvent)
    assert (event.keyword, event.id) == (keyword, id_) == ("go", id_)
    assert event.score == pytest.approx(float(score), abs=1e-4)
    assert event.time == datetime.datetime.fromisoformat(time)


def test_the_event_of_a_command_does_not_configure_a_kwsd_that_it_runs(
    kwsd: Command, daemon: Running, speech: np.ndarray
) -> None:
    process = acting(kwsd, daemon, f'[actions]\ngo = "{kwsd.program} config --json"\n')
    daemon.speak(speech)
    assert json.loads(stderr_of(process).readline()).keys() == set(Config.__struct_fields__)


def test_commands_that_fail_hang_or_are_missing_are_reported_and_the_next_one_runs(
    kwsd: Command, daemon: Running, speech: np.ndarray
) -> None:
    toml = '[actions]\ngo = {command = "sleep 1000", timeout_s = 0.1}\nstop = "false"\n'
    process = acting(kwsd, daemon, toml)
    daemon.speak(speech)
    assert sorted(stderr_of(process).readline() for _ in range(2)) == [
        "kwsd: action for go: stopped because it still ran after 0.1 s\n",
        "kwsd: action for stop: failed with exit code 1\n",
    ]
    other = acting(kwsd, daemon, '[actions]\ngo = "no-such-program"\nstop = "echo runs"\n')
    daemon.speak(speech)
    # Each command has its own thread, so the order of the lines is not fixed.
    assert sorted(stderr_of(other).readline() for _ in range(2)) == [
        "kwsd: action for go: cannot run no-such-program: No such file or directory\n",
        "runs\n",
    ]


def test_an_action_for_a_word_that_the_model_does_not_know_is_named(kwsd: Command, daemon: Running) -> None:
    process = acting(kwsd, daemon, '[actions]\nhello = "true"\ngo = "true"\n')
    assert stderr_of(process).readline() == "model default has no keyword 'hello': its action never runs\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_running_actions_end_with_the_command_that_started_them(
    kwsd: Command, daemon: Running, speech: np.ndarray, number: signal.Signals
) -> None:
    pipe = kwsd.home / "pipe"
    os.mkfifo(pipe)
    # The child of the shell holds the pipe too.
    script = f"exec > {pipe}; echo started; sleep 1000 & wait"
    process = acting(kwsd, daemon, f'[actions.go]\ncommand = "{script}"\nshell = true\ntimeout_s = 3600\n')
    daemon.speak(speech)
    with pipe.open() as output:
        assert output.readline() == "started\n"
        process.send_signal(number)
        assert output.read() == ""
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")


def test_without_actions_there_is_nothing_to_do(kwsd: Command) -> None:
    done = kwsd.run("act")
    assert done.returncode == 78
    assert done.stderr == ("kwsd: the configuration has no actions; for an example:  kwsd config --default\n")


def test_a_command_with_an_open_quotation_is_a_usage_error(kwsd: Command) -> None:
    done = kwsd.run("listen", "--exec", "echo 'x")
    assert (done.returncode, done.stderr) == (2, "kwsd: --exec: No closing quotation\n")


# Start and end of commands, with events that the test creates


def test_an_action_is_skipped_until_its_interval_has_passed(capfd: pytest.CaptureFixture[str]) -> None:
    actions = ActionRunner({ANY_KEYWORD: ActionConfig("echo {id}", interval_s=2)})
    for word, sequence, now_s in (("go", 1, 100.0), ("go", 2, 101.9), ("stop", 1, 101.9), ("go", 3, 102.0)):
        with actions:
            actions.run(keyword_event(word, sequence), now_s)
    assert capfd.readouterr().err.splitlines() == [
        "run-go-1",
        "kwsd: action for go: skipped because the previous one started less than 2 s ago",
        # Each keyword has its own interval.
        "run-stop-1",
        "run-go-3",
    ]


def test_an_action_is_skipped_while_the_previous_one_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ActionRunner({"go": ActionConfig(f"cat {pipe}"), "stop": ActionConfig("echo at once")}) as actions:
        actions.run(keyword_event("go", 1), 100.0)
        actions.run(keyword_event("go", 2), 200.0)
        actions.run(keyword_event("stop"), 200.0)
        pipe.write_text("done\n")
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "kwsd: action for go: skipped because the previous one still runs"
    assert sorted(lines[1:]) == ["at once", "done"]


def test_of_many_keywords_only_eight_have_a_command_at_the_same_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    action = msgspec.convert({"command": f"read line < {pipe}; echo $KWSD_KEYWORD", "shell": True}, ActionConfig)
    with ActionRunner({ANY_KEYWORD: action}) as actions:
        for number in range(300):
            actions.run(keyword_event(f"forged{number}"), 0.0)
        pipe.write_text("go on\n" * MAX_COMMANDS)
        # The shells that opened the pipe too late for this line read the next one.
        while actions.running:
            with suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "kwsd: action for forged8: skipped because 8 commands still run; more skipped events are counted"
    assert lines[-1] == "kwsd: 292 events were skipped because 8 commands were running"
    assert sorted(lines[1:-1]) == [f"forged{number}" for number in range(MAX_COMMANDS)]


def test_a_command_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # The command and its child ignore SIGTERM.
    script = f"trap '' TERM; exec > {pipe}; echo started; sleep 1000 & wait; sleep 1000"
    action = msgspec.convert({"command": script, "shell": True, "timeout_s": 0.5}, ActionConfig)
    with ActionRunner({"go": action}) as actions:
        actions.run(keyword_event("go"), 0.0)
        assert pipe.read_text() == "started\n"
    assert capfd.readouterr().err == "kwsd: action for go: stopped because it still ran after 0.5 s\n"


def test_a_word_is_one_argument_whatever_is_in_it(capfd: pytest.CaptureFixture[str]) -> None:
    with ActionRunner({ANY_KEYWORD: ActionConfig("printf '<%s>' {keyword} 'a b' {nothing}")}) as actions:
        actions.run(keyword_event("-n $(x) {id}"), 0.0)
    assert capfd.readouterr().err == "<-n $(x) {id}><a b><{nothing}>"


def test_a_keyword_that_cannot_be_an_argument_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    with ActionRunner({ANY_KEYWORD: ActionConfig("echo {keyword}")}) as actions:
        actions.run(keyword_event("zero\0byte"), 0.0)
    assert "cannot run echo: the event is malformed" in capfd.readouterr().err


# The examples in the documentation, with other servers


def example(heading: str) -> str:
    """The actions of the first configuration below a heading of docs/actions.md."""
    docs = Path(__file__).parents[1] / "docs"
    page = "".join((docs / name).read_text("utf-8") for name in ("actions.md", "home-assistant.md"))
    return page.partition(f"## {heading}\n")[2].partition("```toml\n")[2].partition("```")[0]


def documented(tmp_path: Path, heading: str, host: str, here: str) -> ActionRunner:
    path = tmp_path / "config.toml"
    text = example(heading)
    assert host in text
    path.write_text(text.replace(host, here))
    return ActionRunner(load_config(file=path, environment={}).config.actions_by_keyword())


class Home(BaseHTTPRequestHandler):
    """Stores the last request, and replies to it."""

    code = 200
    requested = ""
    body = b""

    def do_POST(self) -> None:
        Home.requested, Home.body = self.path, self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log requests."""


@pytest.fixture
def home() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Home) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_http_example_posts_the_event_and_reports_a_refusal(
    tmp_path: Path, home: HTTPServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    actions = documented(tmp_path, "Webhook", "homeassistant.local:8123", f"127.0.0.1:{home.server_port}")
    with actions:
        actions.run(keyword_event("go"), 0.0)
    assert Home.requested == "/api/webhook/desk-6f1c"
    assert decode_event(Home.body) == keyword_event("go")
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(Home, "code", 404)
    with actions:
        actions.run(keyword_event("go", 2), 1.0)
    assert capfd.readouterr().err.splitlines()[-1] == "kwsd: action for go: failed with exit code 22"


@pytest.mark.skipif(not (BROKER and shutil.which("mosquitto_pub")), reason="mosquitto is not installed")
def test_the_mqtt_example_publishes_the_event_under_its_keyword(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert BROKER
    here = f"127.0.0.1 --port {port}"
    with subprocess.Popen([BROKER, "-v", "-p", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as broker:
        try:
            next(line for line in stdout_of(broker) if b"running" in line)
            listen = ["mosquitto_sub", *f"-h {here} -v -C 1 -t kwsd/#".split()]
            with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as subscriber:
                next(line for line in stdout_of(broker) if b"Sending SUBACK" in line)
                with documented(tmp_path, "MQTT", "homeassistant.local", here) as actions:
                    actions.run(keyword_event("go"), 0.0)
                topic, _, message = stdout_of(subscriber).read().partition(" ")
        finally:
            broker.terminate()
    assert topic == "kwsd/go"
    assert decode_event(message.encode()) == keyword_event("go")


@pytest.mark.parametrize("heading", ["Slides", "Media"])
def test_the_other_examples_are_for_words_of_the_default_model(heading: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(example(heading))
    config = load_config(file=path, environment={}).config
    assert config.actions.keys() <= set(read_bundle(find_model("default")).keywords)
