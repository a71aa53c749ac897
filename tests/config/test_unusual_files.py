"""Configuration files that are not what they should be: each is refused at once, with one sentence."""

import os
from pathlib import Path

import pytest
from helpers.command import Command

from kwsd.config.load import load_config
from kwsd.errors import ConfigError

DIGITS = "9" * 5000

BAD_FILES = {
    "a number of 5,000 digits": (f"thresholds.go = {DIGITS}", "is not valid TOML: Exceeds the limit"),
    "a threshold in hexadecimal": (f"thresholds.go = 0x{DIGITS}", "the threshold of 'go' is a huge number"),
    "a whole number of many bits": (f"clips.keep = 0x{DIGITS}", "clips.keep: expected a whole number"),
    "a key of 100,000 parts": ("a" + ".a" * 100_000 + " = 1", "has a key with more than 32 parts"),
    "a quoted key of 10,000 parts": ('"a"' + ' . "a"' * 10_000 + " = 1", "has a key with more than 32 parts"),
    "a table of 10,000 parts": ("[" + "a." * 10_000 + "a]", "has a key with more than 32 parts"),
    "100,000 keys": ("\n".join(f"thresholds.a{i} = 0.5" for i in range(100_000)), "larger than 262,144 bytes"),
    "nested lists": ("labels = " + "[" * 50_000, "is not valid TOML: "),
    "nested tables": ("a = " + "{a = " * 20_000, "is not valid TOML: "),
    "zero bytes": ("\0" * 1000, "is not valid TOML: "),
    "many streams": (
        "\n".join(f'[[stream]]\nname = "a{i}"\ndevice = "b"' for i in range(5000)),
        "two streams have the same device 'b'",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_content_that_is_no_configuration_is_refused_with_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = BAD_FILES[name]
    (tmp_path / "file").write_text(content)
    with pytest.raises(ConfigError) as refused:
        load_config(file=tmp_path / "file", environment={})
    assert sentence in str(refused.value)


def test_a_long_value_with_many_dots_is_allowed(tmp_path: Path) -> None:
    word = " ".join("a.b.c" for _ in range(100)) + " ..." * 100
    (tmp_path / "file").write_text(f"actions.go = 'echo {word}'  # {'. ' * 100}")
    assert load_config(file=tmp_path / "file", environment={}).config.actions["go"] == f"echo {word}"


@pytest.mark.parametrize("name", ["fifo", "/dev/zero", "loop", "a" * 300])
@pytest.mark.parametrize("command", [["status"], ["mute"], ["reload"]])
def test_a_daemon_is_controlled_whatever_the_configuration_file_is(
    kwsd: Command, runtime: Path, name: str, command: list[str]
) -> None:
    if name == "fifo":
        os.mkfifo(runtime / name)
    elif name == "loop":
        (runtime / name).symlink_to(name)
    # No daemon runs, and the command finds that out at the default address.
    done = kwsd.run(*command, KWSD_CONFIG=str(runtime / name))
    assert done.returncode == 69
    assert done.stderr.startswith("kwsd: no kwsd is running at ")


def test_a_link_to_nowhere_in_the_usual_place_is_not_taken_for_no_file(kwsd: Command, runtime: Path) -> None:
    place = runtime / "kwsd" / "config.toml"
    place.parent.mkdir(exist_ok=True)
    place.symlink_to("/none")
    done = kwsd.run("config")
    assert done.returncode == 78
    assert done.stderr == f"kwsd: cannot read {place}: No such file or directory\n"
