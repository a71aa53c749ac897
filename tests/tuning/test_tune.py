"""The command ``kwsd tune``."""

import json
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from helpers.command import Command
from helpers.pipes import stderr_of
from helpers.running import Running

from kwsd import load_model
from kwsd.bus.control import send_request
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.models.bundle import read_bundle, write_manifest
from kwsd.models.find import find_model
from kwsd.tuning.scoring import RecordingScores, score_recordings
from kwsd.tuning.thresholds import count_detections

DEMO = DEMO_FOLDER / "demo.flac"
IN_FORCE = load_model().detector.thresholds


@pytest.fixture(scope="module")
def scored() -> RecordingScores:
    samples, _ = soundfile.read(DEMO, dtype="float32")
    return score_recordings(load_model(), [samples])


def file_of(kwsd: Command) -> Path:
    return kwsd.home / "kwsd" / "config.toml"


def counts(scored: RecordingScores, **changed: float) -> list[int]:
    """Detections of each keyword with these thresholds, and of all."""
    found = count_detections(scored, load_model().detector, IN_FORCE | changed)
    return [*found.detections.values(), found.total]


def test_the_table_of_a_recording_marks_the_thresholds_in_force(kwsd: Command, scored: RecordingScores) -> None:
    done = kwsd.run("tune", DEMO)
    assert (done.returncode, done.stderr) == (0, "to choose:  kwsd tune --set WORD=NUMBER\n")
    rows = {row[0]: row[1:] for line in done.stdout.splitlines() if (row := line.split())}
    words = rows["threshold"][: rows["threshold"].index("all")]
    assert words == list(load_model().keywords)
    for number, (word, threshold) in enumerate(IN_FORCE.items()):
        marked = [row for row, cells in rows.items() if row[0] == "0" and cells[number].startswith("*")]
        assert marked == [f"{threshold:g}"]
        assert rows["0.5"][number].strip("*") == str(counts(scored, **{word: 0.5})[number])
    # 23 seconds are too short for a rate.
    assert rows["in"] == ["force", *map(str, counts(scored))]
    assert "0:00:23 of audio, too short for a rate" in done.stdout
    assert not file_of(kwsd).exists()


def test_a_rate_that_no_usable_thresholds_reach_is_refused_and_nothing_is_written(kwsd: Command) -> None:
    done = kwsd.run("tune", DEMO, "--false-alarms-per-hour", "1")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("kwsd: no usable thresholds stay below 1 false alarm per hour")
    assert not file_of(kwsd).exists()


def test_thresholds_for_a_rate_are_found_though_one_word_is_switched_off(kwsd: Command) -> None:
    kwsd.run("tune", "--set", "go=1")
    done = kwsd.run("tune", "--json", DEMO, "--false-alarms-per-hour", "1000")
    chosen = json.loads(done.stdout)["chosen"]
    assert done.returncode == 0
    assert chosen["thresholds"]["go"] == 0.9999
    assert chosen["detections"]["yes"] == 1


def test_six_minutes_have_rates_and_the_table_fits_into_eighty_characters(kwsd: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(360 * 16_000), 16_000)
    done = kwsd.run("tune", tmp_path / "silence.wav", DEMO, COLUMNS="200")
    (in_force,) = (line.split() for line in done.stdout.splitlines() if "in force  " in line)
    assert float(in_force[-1]) == pytest.approx(int(in_force[-2]) * 3600 / (360 + 23), rel=0.01)
    assert max(len(line.rstrip()) for line in done.stdout.splitlines() if line.startswith(" ")) <= 80


def test_the_json_output_is_one_object(kwsd: Command, scored: RecordingScores) -> None:
    found = json.loads(kwsd.run("tune", "--json", DEMO, "--set", "yes=0.99").stdout)
    assert list(found["now"]["detections"].values()) == counts(scored)[:-1]
    assert list(found["chosen"]["detections"].values()) == counts(scored, yes=0.99)[:-1]
    assert found["chosen"]["thresholds"] == IN_FORCE | {"yes": 0.99}
    (row,) = (row for row in found["keywords"]["yes"] if row["threshold"] == 0.99)
    assert row["detections"] == found["chosen"]["detections"]["yes"]
    assert row["per_hour"] == pytest.approx(row["detections"] * 3600 / found["seconds"])
    assert len(found["all"]) == len(found["keywords"]["yes"])
    assert found["file"] == str(file_of(kwsd))


def test_chosen_thresholds_are_written_and_in_force(kwsd: Command, scored: RecordingScores) -> None:
    done = kwsd.run("tune", DEMO, "--set", "yes=0.995", "--set", "up=0.5")
    assert done.stderr.splitlines() == [
        f"wrote {file_of(kwsd)}: up 0.5  yes 0.995",
        "to apply them to a running daemon:  kwsd reload",
    ]
    (chosen,) = (line.split()[1:] for line in done.stdout.splitlines() if "chosen" in line)
    assert chosen == list(map(str, counts(scored, yes=0.995, up=0.5)))
    assert "up = 0.5  # " in kwsd.run("config").stdout


def test_long_recordings_without_keywords_lower_the_thresholds(kwsd: Command) -> None:
    done = kwsd.run("tune", "--json", DEMO, "--false-alarms-per-hour", "100000")
    found = json.loads(done.stdout)
    assert found["chosen"]["thresholds"] == dict.fromkeys(IN_FORCE, 0.5)
    assert file_of(kwsd).read_text().count("= 0.5\n") == len(IN_FORCE)


def test_recordings_that_are_too_short_to_prove_a_rate_lower_no_threshold(kwsd: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(36 * 16_000), 16_000)
    done = kwsd.run("tune", tmp_path / "silence.wav", "--false-alarms-per-hour", "0.1")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "no threshold is lowered: 0.01 h of audio cannot prove this rate, 37 h without a detection are enough",
        "nothing was written: these thresholds are already in force",
    ]
    assert not file_of(kwsd).exists()


def test_thresholds_alone_are_written_without_listening(kwsd: Command) -> None:
    done = kwsd.run("tune", "--set", "go=0.95")
    assert (done.returncode, done.stdout) == (0, "")
    assert file_of(kwsd).read_text() == "[thresholds]\ngo = 0.95\n"
    again = kwsd.run("tune", "--set", "go=0.95")
    assert again.stderr == "nothing was written: these thresholds are already in force\n"


def test_a_variable_that_overrides_the_file_is_reported(kwsd: Command) -> None:
    done = kwsd.run("tune", "--set", "go=0.95", KWSD_THRESHOLDS="go=0.7")
    assert done.stderr.splitlines()[1] == "but KWSD_THRESHOLDS overrides the file: go 0.7"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--set", "house=0.9"], 66, "model default has no keyword 'house'"),
        (["--set", "go=1.5"], 78, "--set: the threshold of 'go' is 1.5; it must be above 0 and at most 1"),
        (["--set", "go"], 78, "--set: 'go' is not WORD=NUMBER"),
        (["--set", "go=0.9", "--false-alarms-per-hour", "1"], 2, "use either --set or --false-alarms-per-hour"),
        (["--seconds", "5", str(DEMO)], 2, "--device and --seconds are for listening"),
        (["no-such.wav"], 65, "cannot read no-such.wav: No such file or directory"),
        (["--device", "file:no-such.wav"], 65, "cannot read no-such.wav: No such file or directory"),
    ],
)
def test_an_impossible_request_is_one_sentence(kwsd: Command, arguments: list[str], code: int, reason: str) -> None:
    done = kwsd.run("tune", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("listening to")]
    assert line.startswith(f"kwsd: {reason}")
    assert not file_of(kwsd).exists()


def test_a_threshold_for_a_keyword_of_another_model_is_not_written(kwsd: Command, tmp_path: Path) -> None:
    other = Path(shutil.copytree(find_model("default"), tmp_path / "other"))
    bundle = read_bundle(other)
    labels = ["hello" if label == "go" else label for label in bundle.labels]
    detector = msgspec.structs.replace(bundle.detector, thresholds=dict.fromkeys(labels[2:], 0.9))
    write_manifest(msgspec.structs.replace(bundle, labels=labels, detector=detector), other)
    done = kwsd.run("tune", "--model", other, "--set", "hello=0.95")
    assert (done.returncode, done.stdout) == (66, "")
    assert done.stderr.startswith("kwsd: model default has no keyword 'hello'")
    assert not file_of(kwsd).exists()


def test_a_damaged_recording_is_named_and_the_others_make_the_table(kwsd: Command, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(DEMO.read_bytes()[:20_000])
    done = kwsd.run("tune", "--json", damaged, DEMO)
    assert done.returncode == 65
    assert re.match(rf"kwsd: {damaged} is .*truncated", done.stderr)
    assert json.loads(done.stdout)["now"]["detections"]["stop"] >= 1


def test_ctrl_c_ends_the_listening_and_shows_the_table(kwsd: Command) -> None:
    tune = kwsd.start("tune", "--json", "--device", f"file:{DEMO}")
    heard = [stderr_of(tune).readline() for _ in range(2)]
    assert heard[0] == f"listening to file:{DEMO} until Ctrl+C; detections with the thresholds in force:\n"
    assert heard[1].split()[1] == "go"
    tune.send_signal(signal.SIGINT)
    found = json.loads(tune.communicate()[0])
    assert tune.returncode == 0
    assert found["now"]["detections"]["go"] == 1
    assert found["seconds"] < 20


def test_ctrl_c_before_any_audio_ends_the_command(kwsd: Command) -> None:
    tune = kwsd.start("tune", "--device", "-")
    assert stderr_of(tune).readline().startswith("listening to stdin")
    tune.send_signal(signal.SIGINT)
    tune.wait()
    assert (tune.returncode, *tune.communicate()) == (130, "", "")


def test_it_listens_for_the_given_number_of_seconds(kwsd: Command) -> None:
    samples = b"\0\0" * 16_000 * 3
    done = kwsd.run("tune", "--json", "--device", "-", "--seconds", "2", stdin=samples)
    assert done.stderr.startswith("listening to stdin for 2 s, or until Ctrl+C; ")
    assert json.loads(done.stdout)["seconds"] == pytest.approx(2, abs=0.08)


def streams(*devices: str) -> str:
    return "".join(f'[[stream]]\nname = "s{number}"\ndevice = "{device}"\n' for number, device in enumerate(devices))


def test_it_listens_to_the_stream_of_the_configuration(kwsd: Command, tmp_path: Path) -> None:
    (config := tmp_path / "config.toml").write_text(streams("-"))
    done = kwsd.run("tune", "--config", config, stdin=b"\0\0" * 16_000)
    assert (done.returncode, done.stderr.splitlines()[0][:18]) == (0, "listening to stdin")


def test_of_several_streams_the_user_must_choose_one(kwsd: Command, tmp_path: Path) -> None:
    (config := tmp_path / "config.toml").write_text(streams("USB Audio", "Webcam"))
    done = kwsd.run("tune", "--config", config)
    sentence = "choose one with --device: 'USB Audio' (s0), Webcam (s1)"
    assert (done.returncode, done.stderr) == (2, f"kwsd: the configuration has several streams: {sentence}\n")
    for chosen in (["--device", "-"], [DEMO]):
        assert kwsd.run("tune", "--config", config, *chosen, stdin=b"\0\0" * 16_000).returncode == 0


@pytest.fixture
def running(program: str, runtime: Path) -> Iterator[Running]:
    with closing(Running(program, runtime, XDG_CONFIG_HOME=str(runtime))) as daemon:
        yield daemon


def test_a_running_daemon_uses_written_thresholds_after_a_reload(kwsd: Command, running: Running) -> None:
    assert send_request("status", running.control).thresholds["go"] != 0.95
    kwsd.run("tune", "--set", "go=0.95")
    assert send_request("reload", running.control).thresholds["go"] == 0.95
