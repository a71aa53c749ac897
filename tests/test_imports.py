"""Which modules ``import kwsd`` and the commands load."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import kwsd

HEAVY = {"tensorflow", "keras", "kwsd_train", "matplotlib", "audiomentations", "pooch"}

DAEMON = """
import json, sys
from contextlib import suppress
from kwsd.daemon.process import main
with suppress(SystemExit):
    main()
print(json.dumps(sorted(sys.modules)))
"""


COMMAND = """
import json, sys
from contextlib import suppress
from kwsd.cli import main
with suppress(SystemExit):
    main()
print(json.dumps(sorted(sys.modules)))
"""


def modules(program: str, runtime: Path, *arguments: str, **environment: str) -> set[str]:
    """Top-level modules that a program has loaded at its end. It runs in a separate process."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=runtime,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_package_brings_nothing_of_training(runtime: Path) -> None:
    loaded = modules("import json, sys, kwsd; print(json.dumps(sorted(sys.modules)))", runtime)
    assert "kwsd" in loaded
    assert not HEAVY & loaded


@pytest.mark.program
def test_a_daemon_on_a_file_loads_nothing_of_training_no_sound_card_and_no_command_line(
    runtime: Path, two_words: Path
) -> None:
    address = f"ipc://{runtime}/events.sock"
    loaded = modules(DAEMON, runtime, KWSD_DEVICE=f"file:{two_words}", KWSD_ADDRESS=address)
    assert {"ai_edge_litert", "zmq", "soundfile"} <= loaded
    assert not (HEAVY | {"sounddevice", "typer", "pydantic", "rich"}) & loaded


@pytest.mark.parametrize("arguments", [["--help"], ["mute"], ["status"], ["stop"]], ids=" ".join)
def test_a_short_command_loads_neither_numpy_nor_tomlkit(runtime: Path, arguments: list[str]) -> None:
    loaded = modules(COMMAND, runtime, *arguments)
    assert "typer" in loaded
    assert not (HEAVY | {"numpy", "tomlkit", "ai_edge_litert"}) & loaded


def test_all_names_what_the_package_exports_and_nothing_else() -> None:
    for name in kwsd.__all__:
        assert getattr(kwsd, name).__module__.startswith("kwsd.")
    others = {name for name, value in vars(kwsd).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    assert others <= {*kwsd.__all__, "import_module", "TYPE_CHECKING"}
    with pytest.raises(AttributeError, match="module 'kwsd' has no attribute 'Spotty'"):
        kwsd.Spotty  # noqa: B018
