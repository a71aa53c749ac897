"""``kwsd check`` on machines without a working microphone: what it finds, and the command that it suggests."""

import json
import os
import shutil
import socket
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Command
from helpers.machines import alsa, without_portaudio
from helpers.running import Running

from kwsd.bus.client import Subscription
from kwsd.bus.control import send_request
from kwsd.check.sound import check_sound_cards
from kwsd.check.sound_server import SoundServer
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.service import UNIT_NAME

DEMO = f"file:{DEMO_FOLDER / 'demo.flac'}"


def checked(kwsd: Command, *arguments: str, code: int, **environment: str) -> dict[str, Any]:
    """The findings by name, and ``next``, of a check that ends with a code."""
    kwsd.environment.update(environment)
    done = kwsd.run("check", "--json", *arguments)
    assert (done.returncode, done.stderr) == (code, "")
    answer = json.loads(done.stdout)
    assert answer["ready"] == (code == 0)
    return {"next": answer["next"]} | {finding["check"]: finding for finding in answer["checks"]}


def test_a_recording_is_checked_as_a_microphone_would_be(kwsd: Command) -> None:
    done = kwsd.run("check", "--device", DEMO)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert last == "ready"
    assert [line.split()[1] for line in lines] == [
        "configuration",
        "model",
        "events",
        "daemon",
        "service",
        "device",
        "level",
    ]
    assert lines[-1].startswith("ok    level")
    assert lines[-1].endswith(", detected: go")


def test_its_answer_for_programs_is_one_object(kwsd: Command) -> None:
    found = checked(kwsd, "--device", DEMO, code=0)
    assert found["next"] == ""
    assert found["level"]["state"] == "ok"
    assert found["level"]["exit_code"] == 0


def test_a_check_leaves_only_lock_files_beside_the_addresses(kwsd: Command, runtime: Path) -> None:
    checked(kwsd, "--device", "-", code=0)
    assert {path.name for path in (runtime / "kwsd").iterdir()} == {"events.sock.lock", "control.sock.lock"}


def test_without_portaudio_it_says_what_to_install(kwsd: Command) -> None:
    command = [*without_portaudio(), kwsd.program, "check"]
    done = subprocess.run(command, env=kwsd.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (69, "")
    assert "FAIL  PortAudio     the library is missing or cannot be loaded" in done.stdout
    assert "-     device        not checked, because PortAudio is missing" in done.stdout
    assert done.stdout.splitlines()[-1] == "next: apt install libportaudio2"


def test_a_configuration_with_an_error_is_named_and_nothing_else_is_looked_at(kwsd: Command, runtime: Path) -> None:
    (runtime / "kwsd").mkdir()
    (runtime / "kwsd" / "config.toml").write_text('devise = "default"\n')
    found = checked(kwsd, code=78)
    assert found.keys() == {"next", "configuration"}
    assert found["configuration"]["text"].endswith("config.toml: there is no setting 'devise'")


def test_a_model_that_cannot_be_used_is_the_first_fault(kwsd: Command, runtime: Path) -> None:
    found = checked(kwsd, "--device", f"file:{runtime}/none.wav", code=66, KWSD_MODEL="mymodel")
    assert found["model"]["text"].startswith("there is no model 'mymodel'")
    assert found["device"]["exit_code"] == 65
    assert found["next"] == "kwsd models"


def test_a_damaged_recording_is_named(kwsd: Command, runtime: Path, two_words: Path) -> None:
    path = runtime / "cut.wav"
    shutil.copy(two_words, path)
    os.truncate(path, 50_000)
    found = checked(kwsd, "--device", f"file:{path}", code=65)
    assert "is truncated: only its first" in found["level"]["text"]


# The bus


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_user_without_a_runtime_folder_is_told_how_to_get_one(kwsd: Command) -> None:
    # Another user cannot write the file of a measurement of coverage.
    hidden = ("COVERAGE_", "XDG_")
    environment = {name: text for name, text in kwsd.environment.items() if not name.startswith(hidden)} | {"HOME": "/"}
    command = [shutil.which("setpriv") or "", "--reuid=54321", kwsd.program, "check", "--json", "--device", "-"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (73, "")
    answer = json.loads(done.stdout)
    assert answer["next"] == "sudo loginctl enable-linger $USER"
    assert "there is no runtime folder /run/user/54321" in str(answer["checks"])
    environment["PATH"] = ""  # where there is no systemd
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["next"] == "export KWSD_ADDRESS=ipc://$HOME/.kwsd/events.sock"


def test_an_address_that_is_open_to_the_network_is_a_fault(kwsd: Command) -> None:
    found = checked(kwsd, "--device", "-", code=73, KWSD_ADDRESS="tcp://0.0.0.0:5555")
    assert "whole network could read the events" in found["events"]["text"]


def test_a_daemon_that_runs_is_no_fault(kwsd: Command, runtime: Path) -> None:
    address = f"ipc://{runtime}/kwsd/events.sock"
    (runtime / "kwsd").mkdir()
    with closing(Running(kwsd.program, runtime / "kwsd")) as daemon:
        found = checked(kwsd, "--device", "-", code=0)
        assert found["events"]["text"] == f"received from {address}"
        assert found["daemon"]["text"].startswith("listening on stdin for 0:00:0")
        send_request("mute", daemon.control)
        found = checked(kwsd, "--device", "-", code=0)
        assert (found["daemon"]["state"], found["daemon"]["cure"]) == ("warning", "kwsd unmute")


def test_a_device_that_a_running_daemon_may_use_exclusively_is_no_fault(
    kwsd: Command, runtime: Path, tmp_path: Path
) -> None:
    (runtime / "kwsd").mkdir()
    with closing(Running(kwsd.program, runtime / "kwsd")):
        missing = {"ALSA_CONFIG_PATH": alsa(tmp_path, "webcam"), "KWSD_DEVICE": "headset"}
        device = checked(kwsd, code=0, **missing)["device"]
        assert device["state"] == "skipped"
        assert device["text"].endswith("; perhaps the running daemon uses the device exclusively")
        assert checked(kwsd, "--device", "headset", code=69, **missing)["next"] == "kwsd devices"


def test_a_daemon_that_holds_the_address_but_does_not_answer_is_a_fault(kwsd: Command, runtime: Path) -> None:
    address = f"ipc://{runtime}/kwsd/events.sock"
    with Subscription(address) as subscription:
        kwsd.start("run", "--device", "-", "--address", address, "--control", f"ipc://{runtime}/other/control.sock")
        assert subscription.receive(timeout_s=60)
        found = checked(kwsd, "--device", "-", code=73)
    assert found["events"]["text"].startswith(f"another kwsd uses {address}")


# The service


def manager(folder: Path, **properties: str) -> str:
    """A search path with a systemctl that knows this of the unit."""
    program = folder / "systemctl"
    unit = {"LoadState": "loaded", "UnitFileState": "enabled", "ExecMainStatus": "0"} | properties
    lines = "\n".join(f"{name}={value}" for name, value in unit.items())
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "--user show --property={",".join(ALL)} {UNIT_NAME}" ] && echo \'{lines}\'\n'
    )
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


ALL = ["LoadState", "UnitFileState", "ActiveState", "SubState", "ExecMainStatus"]


@pytest.mark.parametrize(
    ("properties", "state", "text"),
    [
        ({"ActiveState": "active", "SubState": "running"}, "ok", "kwsd.service is active (running)"),
        (
            {"ActiveState": "active", "SubState": "running", "UnitFileState": "disabled"},
            "ok",
            "kwsd.service is active (running), but does not start at login",
        ),
        ({"ActiveState": "inactive", "SubState": "dead"}, "warning", "kwsd.service is inactive (dead)"),
        (
            {"ActiveState": "inactive", "SubState": "dead", "LoadState": "not-found"},
            "skipped",
            "kwsd.service is not installed; to install it:  kwsd service install",
        ),
    ],
    ids=["running", "disabled", "stopped", "not installed"],
)
def test_the_state_of_the_unit_is_reported(
    kwsd: Command, tmp_path: Path, properties: dict[str, str], state: str, text: str
) -> None:
    found = checked(kwsd, "--device", "-", code=0, PATH=manager(tmp_path, **properties))["service"]
    assert (found["state"], found["text"]) == (state, text)


@pytest.mark.parametrize(("active", "sub"), [("failed", "failed"), ("activating", "auto-restart")])
def test_a_unit_that_fails_is_a_fault(kwsd: Command, tmp_path: Path, active: str, sub: str) -> None:
    path = manager(tmp_path, ActiveState=active, SubState=sub, ExecMainStatus="66")
    found = checked(kwsd, "--device", "-", code=69, PATH=path)
    assert found["service"]["text"] == f"kwsd.service is {active} ({sub}): the program ended with exit code 66"
    assert found["next"] == "kwsd service logs"


def test_a_machine_without_systemd_is_no_fault(kwsd: Command, tmp_path: Path) -> None:
    found = checked(kwsd, "--device", "-", code=0, PATH=str(tmp_path))
    assert found["service"]["text"] == "systemctl is not installed: this machine does not use systemd"


# The sound system


def test_a_socket_of_a_server_that_has_died_is_a_fault(kwsd: Command, runtime: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(runtime / "pipewire-0"))
    found = checked(kwsd, code=69)
    assert found["sound server"]["text"] == f"PipeWire does not answer at {runtime}/pipewire-0: Connection refused"
    assert found["device"]["state"] == "skipped"


def test_without_any_device_it_says_how_to_get_one(kwsd: Command, tmp_path: Path) -> None:
    found = checked(kwsd, code=69, ALSA_CONFIG_PATH=alsa(tmp_path))
    assert found["sound server"]["state"] == "warning"
    assert found["device"]["text"].startswith("there is no input device")
    assert found["next"] == (found["sound server"]["cure"] or "kwsd check")


def test_an_unknown_device_is_named_with_the_known_ones(kwsd: Command, tmp_path: Path) -> None:
    found = checked(kwsd, code=69, ALSA_CONFIG_PATH=alsa(tmp_path, "webcam"), KWSD_DEVICE="headset")
    assert found["device"]["text"] == "there is no input device 'headset': there are 0 (webcam)"
    assert found["next"] == "kwsd devices"


def test_cards_without_an_input_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "pcmC0D0p").touch()
    assert check_sound_cards(tmp_path, None).state == "skipped"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with the eyes of another user")
def test_cards_that_only_the_group_may_open_are_a_fault_where_no_server_opens_them(runtime: Path) -> None:
    runtime.chmod(0o755)
    (runtime / "pcmC0D0c").touch(mode=0o600)
    assert check_sound_cards(runtime, None).text == "1 with an input can be opened"
    os.seteuid(54321)
    try:
        closed, through = check_sound_cards(runtime, None), check_sound_cards(runtime, SoundServer("PipeWire"))
    finally:
        os.seteuid(0)
    assert (closed.state, closed.exit_code) == ("failed", 69)
    assert closed.cure.startswith("sudo usermod -aG audio $USER")
    assert through.text == "1 with an input can be opened through the sound server"


def test_saving_clips_is_reported_and_a_folder_that_others_can_open_is_a_fault(kwsd: Command, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[clips]\nfolder = "{tmp_path}/clips"\n')
    (tmp_path / "clips").mkdir(0o700)
    found = checked(kwsd, "--config", str(config), "--device", "-", code=0)
    text = f"saving detections and near misses in {tmp_path}/clips: 0 of at most 1000 clips"
    assert (found["clips"]["state"], found["clips"]["text"]) == ("ok", text)
    (tmp_path / "clips").chmod(0o755)
    found = checked(kwsd, "--config", str(config), "--device", "-", code=78)
    assert found["next"] == f"chmod 700 {tmp_path}/clips"
