"""What commands print of text from outside: clean for people, exact for programs."""

import io
import json
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from helpers.command import Command
from helpers.publishing import STATUS, keyword_event, wait_for_subscriber
from rich.text import Text

from kwsd.bus.publisher import Publisher
from kwsd.log import create_console, print_data, print_line, print_lines

EVIL = "go\x1b[2J\r\n\u2028\x85\u202e"
CLEAN = "go?[2J?????"


def test_a_line_for_people_is_one_clean_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(EVIL)
    print_lines(f"a\n{EVIL}")
    assert capsys.readouterr().out == f"{CLEAN}\na\ngo?[2J?\n???\n"


def test_a_line_for_programs_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    print_data('{"keyword": "größer\x9b"}')
    assert written.getvalue() == '{"keyword": "größer\x9b"}\n'.encode()


def test_a_console_draws_its_own_colours_but_no_control_character_from_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    console = create_console(highlight=False, soft_wrap=True)
    console.print(Text("go\x1b]0;title\x07stop\x9b", style="bold"))
    assert written.getvalue() == "go?]0;titlestop?\n"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_listen_prints_clean_text_for_people_and_exact_data_for_programs(
    kwsd: Command, runtime: Path, options: tuple[str, ...]
) -> None:
    address = f"ipc://{runtime}/events.sock"
    event = msgspec.structs.replace(keyword_event("go\x1b[2J"), stream="desk\u2028\x85top")
    status = msgspec.structs.replace(STATUS, source="microphone\r\x1b[2J")
    with Publisher(address) as publisher:
        listening = kwsd.start("listen", "--connect", address, "--count", "1", *options)
        wait_for_subscriber(publisher)
        publisher.publish(status)
        publisher.publish(event)
        output, messages = listening.communicate()
    assert "kwsd is listening (microphone??[2J, model default: go)" in messages
    assert "\x1b" not in messages + output
    if options:
        assert json.loads(output)["stream"] == "desk\u2028\x85top"
    else:
        assert output.endswith("  go?[2J     0.88  desk??top\n")


def test_the_configuration_is_printed_as_toml_with_its_exact_values(kwsd: Command, runtime: Path) -> None:
    text = 'device = "file:a\\u007fb\\u2028c\\u0085d\\u202ee\\U000E0001f\\n\\t\\"x\\\\ é"\n'
    (runtime / "my.toml").write_text(text)
    done = kwsd.run("config", "--config", runtime / "my.toml")
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stdout.split("\n"))
    assert tomllib.loads(done.stdout)["device"] == tomllib.loads(text)["device"]


def test_a_usage_error_quotes_the_command_line_without_control_characters(kwsd: Command) -> None:
    done = kwsd.run("run", "a\x1b[2J\r\u2028\u202e\x9b")
    assert done.returncode == 2
    assert all(line.isprintable() for line in done.stderr.split("\n"))
