"""The command ``kwsd`` in real processes, with everything that can go wrong."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
import soxr
import zmq
from helpers.command import Command
from helpers.machines import alsa, without_portaudio
from helpers.pipes import stderr_of, stdin_of, stdout_of
from helpers.publishing import keyword_event
from typer.testing import CliRunner

import kwsd as package
from kwsd.bus.client import Subscription
from kwsd.bus.events import KeywordEvent, StatusEvent, decode_event, encode_event
from kwsd.bus.publisher import Publisher
from kwsd.cli.commands import app
from kwsd.models.bundle import MANIFEST, read_bundle
from kwsd.models.find import find_model


def sentence(done: subprocess.CompletedProcess[str], exit_code: int) -> str:
    """The only line on standard error, without the program's name."""
    assert done.returncode == exit_code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("kwsd: ")
    return line.removeprefix("kwsd: ")


@pytest.fixture
def address(runtime: Path) -> str:
    return f"ipc://{runtime}/kwsd/events.sock"


# Version and help


def test_the_version_names_the_package_the_libraries_and_the_models(kwsd: Command, runtime: Path) -> None:
    damaged = Path(shutil.copytree(find_model("default"), runtime / "kwsd" / "models" / "mine"))
    (damaged / "model.tflite").unlink()
    done = kwsd.run("--version")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == f"kwsd {package.__version__}"
    assert f"ai-edge-litert {metadata.version('ai-edge-litert')}" in lines
    sha256 = read_bundle(find_model("default")).files["model.tflite"].sha256
    assert f"model default {sha256[:12]}" in lines
    assert f"model mine cannot be used: cannot read {damaged}/model.tflite: No such file or directory" in lines


def test_the_version_of_the_installed_package_is_that_in_its_code() -> None:
    assert metadata.version("kwsd") == package.__version__


def test_the_help_names_every_command(kwsd: Command) -> None:
    done = kwsd.run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f" {name} " in done.stdout for name in ("run", "listen", "scan", "devices", "models", "config", "demo"))


@pytest.mark.parametrize("name", [command.callback.__name__ for command in app.registered_commands if command.callback])
def test_every_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert f"Usage: kwsd {name} " in done.stdout


def test_paragraphs_of_the_help_flow_to_the_width_of_the_terminal() -> None:
    shown = CliRunner().invoke(app, ["monitor", "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).stdout
    assert "q quits. A changed threshold lasts until" in shown


def test_installed_models_are_listed_with_their_keywords() -> None:
    done = CliRunner().invoke(app, ["models", "--json"])
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert sorted(rows["default"]["keywords"]) == ["down", "go", "left", "no", "right", "stop", "up", "yes"]
    assert rows["default"]["licence"]


# Devices


def test_devices_are_listed_and_the_default_is_marked(kwsd: Command, tmp_path: Path) -> None:
    done = kwsd.run("devices", ALSA_CONFIG_PATH=alsa(tmp_path, "webcam", "default"))
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.split()[:2] == ["0", "webcam"]
    assert second.split()[:3] == ["*", "1", "default"]


def test_without_any_device_the_error_names_what_may_be_missing(kwsd: Command, tmp_path: Path) -> None:
    done = kwsd.run("run", ALSA_CONFIG_PATH=alsa(tmp_path))
    assert sentence(done, 69).startswith("there is no input device: connect a microphone, or start a sound server")
    assert done.stdout == ""


@pytest.mark.parametrize("device", ["bluetooth", "7"])
def test_an_unknown_device_is_refused_with_a_list_of_devices(kwsd: Command, tmp_path: Path, device: str) -> None:
    done = kwsd.run("run", "--device", device, ALSA_CONFIG_PATH=alsa(tmp_path, "webcam", "headset"))
    assert sentence(done, 69) == f"there is no input device '{device}': there are 0 (webcam), 1 (headset)"


def test_an_ambiguous_device_is_refused_with_a_list_of_matches(kwsd: Command, tmp_path: Path) -> None:
    conf = alsa(tmp_path, "usb_mic_left", "usb_mic_right", "webcam")
    done = kwsd.run("run", "--device", "USB", ALSA_CONFIG_PATH=conf)
    assert sentence(done, 69) == "'USB' could mean several input devices: 0 (usb_mic_left), 1 (usb_mic_right)"


def test_if_portaudio_cannot_be_loaded_the_error_says_what_to_install(kwsd: Command, tmp_path: Path) -> None:
    (tmp_path / "libportaudio.so.2").touch()
    done = kwsd.run("devices", LD_LIBRARY_PATH=str(tmp_path))
    assert sentence(done, 69) == "the PortAudio library is missing: install it with  apt install libportaudio2"


def test_without_portaudio_the_error_says_what_to_install(kwsd: Command) -> None:
    command = [*without_portaudio(), kwsd.program, "devices"]
    done = subprocess.run(command, env=kwsd.environment, capture_output=True, text=True, check=False)
    assert sentence(done, 69) == "the PortAudio library is missing: install it with  apt install libportaudio2"


# Sound files and pipes


def test_detections_are_rows_of_file_time_keyword_and_score(kwsd: Command, two_words: Path) -> None:
    done = kwsd.run("scan", "--json", two_words)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2
    assert all(list(row) == ["file", "time_s", "keyword", "score"] for row in rows)
    assert all(row["file"] == str(two_words) for row in rows)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a sound file that kwsd can read"),
        (b"Dear diary", "is not a sound file that kwsd can read"),
        (b"fLaC" + bytes(100), "is not a sound file that kwsd can read"),
    ],
    ids=["empty", "text", "damaged flac"],
)
def test_an_unusable_file_is_refused_by_name(kwsd: Command, runtime: Path, content: bytes, said: str) -> None:
    path = runtime / "sound.wav"
    path.write_bytes(content)
    done = kwsd.run("scan", path)
    assert sentence(done, 65).startswith(f"{path} {said}")
    assert done.stdout == ""


def test_a_missing_file_and_a_folder_are_refused_by_name(kwsd: Command, runtime: Path) -> None:
    missing = runtime / "none.wav"
    assert sentence(kwsd.run("scan", missing), 65) == f"cannot read {missing}: No such file or directory"
    done = kwsd.run("run", "--device", f"file:{runtime}", "--log-level", "error")
    assert sentence(done, 65) == f"cannot read {runtime}: Is a directory"


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_detections_in_what_is_left_of_a_truncated_file_are_printed(
    kwsd: Command, runtime: Path, two_words: Path, kind: str
) -> None:
    path = runtime / f"cut.{kind}"
    samples, rate = soundfile.read(two_words)
    soundfile.write(path, np.concatenate([samples, np.zeros(4 * rate)]), rate, "PCM_16")
    os.truncate(path, path.stat().st_size * 3 // 4 if kind == "wav" else path.stat().st_size - 200)
    done = kwsd.run("scan", "--json", path)
    assert "truncated: only its first" in sentence(done, 65)
    assert len(done.stdout.splitlines()) == 2


def test_a_bad_file_does_not_stop_the_scan_of_the_good_ones(kwsd: Command, runtime: Path, two_words: Path) -> None:
    samples, rate = soundfile.read(two_words)
    loud = 0.9 * samples / np.abs(samples).max()
    soundfile.write(runtime / "u8.wav", loud, rate, "PCM_U8")
    soundfile.write(runtime / "s24.wav", loud, rate, "PCM_24")
    soundfile.write(runtime / "stereo.wav", np.column_stack([loud, loud]), rate)
    (runtime / "bad.wav").write_text("no sound")
    files = [runtime / name for name in ("u8.wav", "bad.wav", "s24.wav", "none.wav", "stereo.wav")]
    done = kwsd.run("scan", "--json", *files)
    assert done.returncode == 65
    assert [line for line in done.stderr.splitlines() if line.startswith("kwsd: ")] == [
        f"kwsd: {files[1]} is not a sound file that kwsd can read: Format not recognised",
        f"kwsd: cannot read {files[3]}: No such file or directory",
    ]
    found = {json.loads(line)["file"] for line in done.stdout.splitlines()}
    assert found == {str(path) for path in (files[0], files[2], files[4])}


def test_a_sound_file_can_come_through_a_pipe(kwsd: Command, two_words: Path) -> None:
    expected = [json.loads(line)["time_s"] for line in kwsd.run("scan", "--json", two_words).stdout.splitlines()]
    done = kwsd.run("scan", "--json", "/dev/stdin", stdin=two_words.read_bytes())
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["time_s"] for line in done.stdout.splitlines()] == expected
    assert sentence(kwsd.run("scan", "/dev/stdin"), 65).startswith("/dev/stdin is not a sound file")


def test_a_file_whose_name_is_not_utf_8_is_scanned_with_the_others(
    kwsd: Command, runtime: Path, two_words: Path
) -> None:
    odd = runtime / os.fsdecode(b"caf\xe9.flac")
    odd.write_bytes(two_words.read_bytes())
    bad = runtime / os.fsdecode(b"bad\xe9.flac")
    bad.write_bytes(b"nothing")
    for option in ([], ["--json"], ["--jobs", "2"]):
        done = kwsd.run("scan", *option, odd, bad, two_words, LC_ALL="en_US.UTF-8", PYTHONUTF8="0")
        assert done.returncode == 65
        assert len(done.stdout.splitlines()) == 4
        assert done.stdout.count("caf?.flac") == 2
        assert "bad?.flac is not a sound file" in done.stderr


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_the_daemon_recognises_a_sound_file_on_standard_input(kwsd: Command, two_words: Path, kind: str) -> None:
    samples, rate = soundfile.read(two_words)
    file = io.BytesIO()
    fast = soxr.resample(samples, rate, 44_100)
    soundfile.write(file, np.column_stack([fast, fast]), 44_100, "PCM_16", format=kind)
    done = kwsd.run("run", "--device", "-", stdin=file.getvalue())
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("keyword") >= 2 or "go" in done.stderr


def test_a_parallel_scan_prints_the_same_lines_in_the_same_order(
    kwsd: Command, clips: Path, two_words: Path, runtime: Path
) -> None:
    (runtime / "bad.wav").write_text("no sound")
    files = [*sorted((clips / "yes").glob("*.flac")), runtime / "bad.wav", two_words, *(clips / "no").glob("*.flac")]
    alone, together = kwsd.run("scan", *files), kwsd.run("scan", "--jobs", "2", *files)
    assert together.returncode == alone.returncode == 65
    assert together.stdout == alone.stdout
    assert len(together.stdout.splitlines()) > 2
    assert (
        together.stderr.splitlines()[0]
        == alone.stderr.splitlines()[0]
        == (f"kwsd: {runtime / 'bad.wav'} is not a sound file that kwsd can read: Format not recognised")
    )


def test_a_scan_of_several_files_reports_its_speed(kwsd: Command, two_words: Path) -> None:
    done = kwsd.run("scan", two_words, two_words)
    assert re.fullmatch(r"4 detections in \d+ s of audio, \d+ times real time\n", done.stderr)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_scan_ends_at_once_and_silently(
    kwsd: Command, runtime: Path, two_words: Path, jobs: int
) -> None:
    path = runtime / "long.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 3600 * 16_000), 16_000)
    command: list[str | Path] = [kwsd.program, "scan", "--jobs", str(jobs), two_words, path]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=kwsd.environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as scan:
        assert stdout_of(scan).readline()
        os.killpg(scan.pid, signal.SIGINT)
        _, said = scan.communicate(timeout=10)
    assert (scan.returncode, said) == (130, "")


def test_a_reader_that_has_seen_enough_of_a_scan_gets_no_traceback(kwsd: Command, two_words: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [kwsd.program, "scan", two_words],
            env=kwsd.environment,
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_disk_under_the_output_is_reported(kwsd: Command, two_words: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [kwsd.program, "scan", two_words],
            env=kwsd.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert sentence(done, 74) == "cannot go on: No space left on device"


def test_a_system_error_without_a_number_is_reported_with_its_text(kwsd: Command) -> None:
    program = (
        "from kwsd.daemon.ending import run_and_exit\ndef fail(): raise OSError('no pty left')\nrun_and_exit(fail)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=kwsd.environment, capture_output=True, text=True, check=False)
    assert sentence(done, 74) == "cannot go on: no pty left"


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (bytes(3001), "standard input ended inside a sample: it must be signed 16-bit, 16 kHz, mono"),
        (b"", "standard input contains no audio"),
    ],
    ids=["odd", "empty"],
)
def test_unusable_standard_input_is_refused(kwsd: Command, stdin: bytes, said: str) -> None:
    assert sentence(kwsd.run("run", "--device", "-", "--log-level", "error", stdin=stdin), 65) == said


def test_a_closed_standard_input_is_refused(kwsd: Command) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "-", kwsd.program, "run", "--device", "-"],
        # A measurement of coverage would open its file as standard input.
        env=kwsd.environment | {"COVERAGE_PROCESS_CONFIG": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sentence(done, 65) == "standard input is closed"


# Models, configuration, addresses


def altered(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    edit(manifest)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def test_a_model_that_must_not_be_used_is_refused(kwsd: Command, runtime: Path) -> None:
    folder = runtime / "copy"
    run = ["run", "--device", "-", "--model"]
    assert sentence(kwsd.run(*run, folder), 66) == f"there is no model folder {folder}, and no file of this name"
    shutil.copytree(find_model("default"), folder)
    altered(folder, lambda manifest: manifest["front_end"].update(fft_length=512))
    assert sentence(kwsd.run(*run, folder), 66) == (
        f"{folder} was made for another front end: fft_length is 512, kwsd's is 256"
    )
    altered(folder, lambda manifest: manifest["front_end"].update(fft_length=256))
    with (folder / "model.tflite").open("ab") as network:
        network.write(b"\0")
    assert sentence(kwsd.run(*run, folder), 66) == (
        f"{folder}/model.tflite is not the file that bundle.json describes: its SHA-256 or size differs"
    )


def test_a_threshold_for_a_word_that_the_model_does_not_know_is_refused(kwsd: Command) -> None:
    said = sentence(kwsd.run("run", "--device", "-", "--threshold", "hello=0.5"), 66)
    assert said.startswith("model default has no keyword 'hello': its keywords are ")


def test_a_typo_in_the_configuration_is_refused_with_the_file_and_the_word(kwsd: Command, runtime: Path) -> None:
    path = runtime / "kwsd" / "config.toml"
    path.parent.mkdir()
    path.write_text('devise = "default"\n')
    assert sentence(kwsd.run("run"), 78) == f"{path}: there is no setting 'devise'"
    path.write_text("device = default\n")
    assert sentence(kwsd.run("config"), 78).startswith(f"{path} is not valid TOML: ")


def test_an_address_that_cannot_be_bound_is_refused(kwsd: Command, address: str) -> None:
    with Publisher(address):
        done = kwsd.run("run", "--device", "-", "--address", address)
    assert sentence(done, 73) == (
        f"another kwsd uses {address}: stop it, or choose other addresses with --address and --control"
    )
    done = kwsd.run("run", "--device", "-", "--address", f"ipc:///{107 * 'x'}")
    assert sentence(done, 73).endswith("has 108 bytes, and the limit is 107")


# A daemon that runs


def pcm(path: Path) -> bytes:
    samples, _ = soundfile.read(path, dtype="int16")
    return bytes(samples.astype("<i2"))


def test_a_stopped_daemon_delivers_its_last_events_and_a_stopping_status(
    kwsd: Command, address: str, two_words: Path
) -> None:
    with Subscription(address) as subscription:
        daemon = kwsd.start("run", "--device", "-", "--address", address)
        assert subscription.receive(timeout_s=60)
        os.write(stdin_of(daemon).fileno(), pcm(two_words))
        logged = [next(line for line in stderr_of(daemon) if "(score" in line) for _ in range(2)]
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert "Traceback" not in stderr_of(daemon).read()
        events = []
        while message := subscription.receive(timeout_s=1):
            events.append(decode_event(message.body))
    keywords = [event.keyword for event in events if isinstance(event, KeywordEvent)]
    assert len(keywords) == 2
    assert all(word in line for word, line in zip(keywords, logged, strict=True))
    assert isinstance(events[-1], StatusEvent)
    assert events[-1].state == "stopping"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_daemon_that_waits_for_audio_stops_without_any(kwsd: Command, address: str, number: signal.Signals) -> None:
    with Subscription(address) as subscription:
        daemon = kwsd.start("run", "--device", "-", "--address", address, "--log-level", "error")
        assert subscription.receive(timeout_s=60)
        daemon.send_signal(number)
        assert daemon.wait() == 0
        assert stderr_of(daemon).read() == ""


@pytest.mark.parametrize("module", ["typer", "zmq"])
def test_a_daemon_that_is_interrupted_while_it_starts_ends_quietly(kwsd: Command, runtime: Path, module: str) -> None:
    (runtime / f"{module}.py").write_text("import signal; signal.raise_signal(signal.SIGINT)")
    done = kwsd.run("run", "--device", "-", PYTHONPATH=str(runtime))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_demo_prints_detections_while_it_runs(kwsd: Command, runtime: Path) -> None:
    # Files of the user's that have the names of modules are none of its business.
    (runtime / "typer.py").write_text("raise SystemExit('not this one')")
    demo = subprocess.Popen(
        [kwsd.program, "demo"],
        cwd=runtime,
        env=kwsd.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    kwsd.started.append(demo)
    assert "10 words in noise: go stop left" in stdout_of(demo).readline()
    assert "published in" in stdout_of(demo).readline()
    # As the terminal does at Ctrl+C: to all processes of the session.
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait() == 130
    assert stderr_of(demo).read() == ""


# A subscriber that runs


@pytest.fixture
def publisher(address: str) -> Iterator[Publisher]:
    with Publisher(address) as publisher:
        yield publisher


def listening(kwsd: Command, publisher: Publisher, *arguments: str) -> subprocess.Popen[str]:
    process = kwsd.start("listen", *arguments, TZ="UTC")
    while not publisher.read_subscriptions():
        assert process.poll() is None
    assert stderr_of(process).readline() == f"waiting for kwsd at {publisher.address}\n"
    return process


def test_events_are_printed_as_they_were_published_until_there_are_enough(kwsd: Command, publisher: Publisher) -> None:
    process = listening(kwsd, publisher, "--json", "--count", "2", "--keyword", "go", "--keyword", "stop")
    events = [keyword_event("go"), keyword_event("left"), keyword_event("stop"), keyword_event("go", 2)]
    for event in events:
        publisher.publish(event)
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert stdout == f"{encode_event(events[0]).decode()}\n{encode_event(events[2]).decode()}\n"


def test_people_see_time_keyword_and_score(kwsd: Command, publisher: Publisher) -> None:
    process = listening(kwsd, publisher, "--count", "1")
    publisher.publish(keyword_event("go"))
    assert process.communicate() == ("12:30:15  go         0.88\n", "")


def test_too_few_events_in_the_time_allowed_are_exit_code_75(kwsd: Command, address: str) -> None:
    done = kwsd.run("listen", "--connect", address, "--count", "2", "--timeout", "0.1")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr == f"waiting for kwsd at {address}\nkwsd: 0 of 2 events arrived within 0.1 s\n"


def test_without_a_count_the_time_allowed_is_just_an_end(kwsd: Command, address: str) -> None:
    done = kwsd.run("listen", "--connect", address, "--timeout", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"waiting for kwsd at {address}\n")


def test_an_interrupted_subscriber_ends_quietly(kwsd: Command, publisher: Publisher) -> None:
    process = listening(kwsd, publisher)
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "")
    assert process.returncode == 130


def test_a_subscriber_whose_reader_has_gone_ends_quietly(kwsd: Command, publisher: Publisher) -> None:
    process = listening(kwsd, publisher)
    publisher.publish(keyword_event("go"))
    assert "go" in stdout_of(process).readline()
    stdout_of(process).close()
    while process.poll() is None:
        publisher.publish(keyword_event("go"))
    assert stderr_of(process).read() == ""


@pytest.mark.parametrize(
    ("command", "address", "reason"),
    [
        ("listen", "nowhere", "event address 'nowhere' must begin with ipc:// or tcp://"),
        ("act", "nowhere", "event address 'nowhere' must begin with ipc:// or tcp://"),
        (
            "listen",
            "tcp://host:99999",
            "event address tcp://host:99999 needs a host and a port from 1 to 65535",
        ),
        ("status", "nowhere", "control address 'nowhere' must begin with ipc://: only local programs control a daemon"),
    ],
)
def test_an_invalid_address_is_refused_with_the_same_code_everywhere(
    kwsd: Command, command: str, address: str, reason: str
) -> None:
    (kwsd.home / "config.toml").write_text('actions.go = "true"\n')
    done = kwsd.run(command, "--connect", address, KWSD_CONFIG=str(kwsd.home / "config.toml"))
    assert sentence(done, 73) == reason


def test_an_event_of_another_version_is_reported_in_one_sentence(kwsd: Command, runtime: Path) -> None:
    address = f"ipc://{runtime}/later.sock"
    with zmq.Context() as context, context.socket(zmq.XPUB) as later:
        later.bind(address)
        process = kwsd.start("listen", "--connect", address)
        while later.recv() != b"\x01kwsd.status":
            pass
        later.send_multipart([b"kwsd.keyword.go", encode_event(keyword_event("go")).replace(b'"v":1', b'"v":2')])
        _, stderr = process.communicate()
    assert process.returncode == 76
    assert stderr.startswith(f"waiting for kwsd at {address}\nkwsd: the message is not an event of version 1: ")
    assert stderr.count("\n") == 2
