"""Clips of detections and near misses: which audio is selected, how it is named, written and limited."""

import dataclasses
import datetime
import os
import stat
import wave
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from helpers.command import Command
from helpers.running import Running
from hypothesis import given
from hypothesis import strategies as st

from kwsd import Spotter, load_model
from kwsd.bus.control import send_request
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.clips.clip import Clip, ClipName, list_clips
from kwsd.clips.selector import NEAR_SHARE, ClipSelector
from kwsd.clips.writer import WAITING_CLIPS, ClipWriter
from kwsd.errors import ConfigError
from kwsd.pipeline.detector import Detection

SAMPLES, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)  # a second, and no word
NOON = datetime.datetime(2026, 3, 4, 12, tzinfo=datetime.UTC)
SECOND = np.linspace(-1, 1, 16_000, dtype=np.float32)


def clip(number: int = 0) -> Clip:
    return Clip(NOON + datetime.timedelta(seconds=number), "go", 0.97, "fired", SECOND)


def select_clips(samples: np.ndarray, block: int = 1280, hits: int | None = None) -> tuple[list[Clip], list[Detection]]:
    """Clips of a stream that begins at noon, and its detections."""
    model = load_model()
    if hits:
        model = dataclasses.replace(model, detector=msgspec.structs.replace(model.detector, hits=hits))
    spotter, selector = Spotter(model, attentive=True), ClipSelector()
    clips, detections = [], []
    for start in range(0, len(samples), block):
        part = samples[start : start + block]
        found = spotter.feed(part)
        detections += found
        now = NOON + datetime.timedelta(seconds=spotter.sample / 16_000)
        clips += selector.feed(part, spotter, found, now)
    return clips + selector.reset(), detections


# Selection


@pytest.mark.parametrize("block", [1280, 1000, 5000])
def test_the_clip_of_a_detection_is_the_second_that_decided(block: int) -> None:
    clips, detections = select_clips(SAMPLES, block)
    fired = [clip for clip in clips if clip.kind == "fired"]
    assert detections
    for found, kept in zip(detections, fired, strict=True):
        assert (kept.keyword, kept.score) == (found.keyword, found.score)
        np.testing.assert_array_equal(kept.samples, SAMPLES[slice(*found.window)])
        assert kept.time == NOON + datetime.timedelta(seconds=found.time_s)


def test_a_near_miss_has_one_clip_of_its_highest_score() -> None:
    samples = SAMPLES[: 3 * 16_000]
    clips, detections = select_clips(samples, hits=1000)  # more than any word has
    assert detections == []
    (near,) = clips
    spotter, scores = Spotter(load_model(), attentive=True), []
    for start in range(0, len(samples), 1280):
        spotter.feed(samples[start : start + 1280])
        scores.append((spotter.scores["go"], -spotter.sample))
    score, sample = max(scores)
    assert (near.kind, near.keyword, near.score) == ("near", "go", score)
    assert score > NEAR_SHARE * load_model().detector.thresholds["go"]
    np.testing.assert_array_equal(near.samples, SAMPLES[-sample - 16_000 : -sample])


def test_a_score_that_stays_below_seven_tenths_of_its_threshold_is_no_near_miss() -> None:
    samples = SAMPLES[: 3 * 16_000]
    spotter = Spotter(load_model(), attentive=True)
    nearness = []
    for start in range(0, len(samples), 1280):
        spotter.feed(samples[start : start + 1280])
        nearness.append(max(score / spotter.thresholds[word] for word, score in spotter.scores.items()))
    before = next(number for number, near in enumerate(nearness) if near >= NEAR_SHARE)
    assert select_clips(samples[: 1280 * before], hits=1000)[0] == []
    assert len(select_clips(samples[: 1280 * (before + 1)], hits=1000)[0]) == 1


def test_what_overlaps_with_a_detection_is_no_near_miss() -> None:
    clips, detections = select_clips(SAMPLES)
    ends = [NOON + datetime.timedelta(seconds=found.time_s) for found in detections]
    second = datetime.timedelta(seconds=1)
    assert not [near for near in clips if near.kind == "near" for end in ends if end <= near.time < end + second]


def test_silence_has_no_clips() -> None:
    assert select_clips(np.zeros(48_000, np.float32)) == ([], [])


def first_word() -> int:
    """Where the first word of the recording is detected."""
    return select_clips(SAMPLES[: 3 * 16_000])[1][0].sample


def test_nothing_from_before_a_gap_is_in_a_clip_after_it() -> None:
    spotter, selector = Spotter(load_model(), attentive=True), ClipSelector()
    selector.feed(NOISE, spotter, spotter.feed(NOISE), NOON)
    spotter.reset()
    selector.reset()
    clips = []
    # The word is over before the second after the gap is.
    for start in range(first_word() - 12_000, first_word() + 2560, 1280):
        part = SAMPLES[start : start + 1280]
        clips += selector.feed(part, spotter, spotter.feed(part), NOON)
    (kept,) = clips
    assert not kept.samples[:1_000].any()


# Names


@given(
    word=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    score=st.floats(0, 1),
    kind=st.sampled_from(["fired", "near"]),
)
def test_a_name_holds_time_keyword_score_and_kind(word: str, score: float, kind: str) -> None:
    name = ClipName(NOON.replace(microsecond=123_000), word, score, kind)
    path = Path("clips") / str(name)
    assert path.parent.name == "clips"
    assert ClipName.parse(path) == name._replace(score=round(score, 2))


@pytest.mark.parametrize(
    "name", ["notes.txt", "a.wav", "20260304T120000.000Z_go_0.97_fired.flac", "20260304T120000.000Z_go_0.97_else.wav"]
)
def test_other_files_are_not_clips(name: str) -> None:
    assert ClipName.parse(Path(name)) is None


def test_names_are_short_and_sorted_by_time() -> None:
    assert str(ClipName.from_clip(clip())) == "20260304T120000.000Z_go_0.97_fired.wav"


# Files


def written(folder: Path, clips: list[Clip], keep: int = 1000) -> ClipWriter:
    with closing(ClipWriter(folder, keep)) as writer:
        for each in clips:
            writer.put(each)
    return writer


def test_a_clip_is_a_sixteen_bit_wav_that_only_its_user_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "clips"
    written(folder, [clip()])
    (path,) = folder.iterdir()
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, 16_000)
    samples, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(samples, SECOND, atol=1 / 32768)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_newest_clips_are_kept_and_other_files_are_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir(0o700)
    (folder / "notes.txt").write_text("mine")
    (folder / "0.wav").write_text("mine")
    assert written(folder, [clip(number) for number in range(5)], keep=3).written == 5
    assert list_clips(folder) == [folder / str(ClipName.from_clip(clip(number))) for number in (2, 3, 4)]
    assert len(list(folder.iterdir())) == 5


def test_a_hanging_disk_blocks_only_the_writer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "clips"
    folder.mkdir(0o700)
    # Opening a pipe that nobody reads hangs, like a disk that has gone.
    hanging = (folder / str(ClipName.from_clip(clip()))).with_suffix(".new")
    os.mkfifo(hanging)
    number = WAITING_CLIPS + 10
    writer = ClipWriter(folder, 1000)
    for each in range(number):
        writer.put(clip(each))
    assert 9 <= writer.lost <= 10
    assert [record.message for record in caplog.records] == [
        f"cannot save a clip in {folder}: the disk is too slow; further lost clips are only counted in the status"
    ]
    with hanging.open("rb") as released:
        while released.read(1 << 16):
            pass
    writer.close()
    assert writer.written + writer.lost == number


def test_a_deleted_folder_is_created_again(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    writer = ClipWriter(folder, 1000)
    folder.rmdir()
    writer.put(clip())
    writer.close()
    assert len(list_clips(folder)) == writer.written == 1


def test_clips_that_cannot_be_written_are_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "clips"
    writer = ClipWriter(folder, 1000)
    folder.rmdir()
    folder.write_text("in the way")
    for each in range(3):
        writer.put(clip(each))
    writer.close()
    assert (writer.written, writer.lost) == (0, 3)
    assert [record.message for record in caplog.records] == [
        f"cannot save a clip in {folder}: File exists; further lost clips are only counted in the status"
    ]


def _file(folder: Path) -> None:
    folder.write_text("in the way")


def _open_to_others(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o750)


def _of_another_user(folder: Path) -> None:
    folder.mkdir(0o700)
    os.chown(folder, 12_345, 12_345)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_file, "File exists"),
        (_open_to_others, "other users can open it: choose a new folder, or run chmod 700 on it"),
        pytest.param(
            _of_another_user,
            "the folder belongs to another user",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away"),
        ),
    ],
)
def test_a_folder_that_is_not_private_is_refused(tmp_path: Path, spoil: Callable[[Path], None], reason: str) -> None:
    folder = tmp_path / "clips"
    spoil(folder)
    with pytest.raises(ConfigError, match=f"^cannot save clips in {folder}: {reason}$"):
        ClipWriter(folder, 1000)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_open_to_others, "other users can open it: choose a new folder, or run chmod 700 on it"),
        pytest.param(
            _of_another_user,
            "the folder belongs to another user",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away"),
        ),
    ],
)
def test_a_folder_that_is_replaced_while_the_daemon_runs_gets_no_clip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None], reason: str
) -> None:
    folder = tmp_path / "clips"
    with closing(ClipWriter(folder, 1000)) as writer:
        folder.rmdir()
        spoil(folder)
        writer.put(clip())
    assert not list(folder.iterdir())
    assert (writer.written, writer.lost) == (0, 1)
    assert caplog.messages == [
        f"cannot save a clip in {folder}: {reason}; further lost clips are only counted in the status"
    ]


# The daemon


def test_a_daemon_saves_no_clips_by_default(program: str, runtime: Path) -> None:
    with closing(Running(program, runtime)) as running:
        running.speak(SAMPLES[: 5 * 16_000])
        running.heard()
        assert not any("saving audio" in line for line in running.log())
    assert not list(runtime.rglob("*.wav"))


def test_a_daemon_logs_that_it_saves_clips_and_saves_them(program: str, runtime: Path) -> None:
    folder = runtime / "clips"
    with closing(Running(program, runtime, "--save-clips", str(folder))) as running:
        assert send_request("status", running.control).clips_folder == str(folder)
        running.speak(SAMPLES)
        heard = running.heard()
        assert any(f"saving audio of detections and near misses in {folder}" in line for line in running.log())
    names = [name for path in list_clips(folder) if (name := ClipName.parse(path))]
    assert len(names) == len(list_clips(folder))
    assert [name.keyword for name in names if name.kind == "fired"] == heard
    near = [clip.keyword for clip in select_clips(SAMPLES)[0] if clip.kind == "near"]
    assert [name.keyword for name in names if name.kind == "near"] == near
    today = datetime.datetime.now(datetime.UTC)
    assert all(today - name.time < datetime.timedelta(minutes=5) for name in names)


def test_the_last_word_of_a_file_is_saved_too(kwsd: Command, tmp_path: Path) -> None:
    short = SAMPLES[: first_word() - 1280]
    spotter = Spotter(load_model())
    assert spotter.feed(short) == []
    (last,) = spotter.flush()
    soundfile.write(tmp_path / "short.wav", short, 16_000)
    kwsd.run("run", "--device", f"file:{tmp_path}/short.wav", "--save-clips", tmp_path / "clips")
    (path,) = list_clips(tmp_path / "clips")
    assert path.name.endswith(f"_go_{last.score:.2f}_fired.wav")
    expected = np.concatenate([short, np.zeros(16_000, np.float32)])[slice(*last.window)]
    np.testing.assert_allclose(soundfile.read(path)[0], expected, atol=1e-4)


def test_a_pipe_without_audio_has_no_clips(kwsd: Command, tmp_path: Path) -> None:
    done = kwsd.run("run", "--device", "-", "--save-clips", tmp_path / "clips")
    assert done.returncode == 65
    assert list_clips(tmp_path / "clips") == []


def test_the_status_has_the_number_and_the_folder_of_clips(kwsd: Command, runtime: Path) -> None:
    (runtime / "kwsd").mkdir()
    (runtime / "kwsd" / "config.toml").write_text('[clips]\nfolder = "~/clips"\nkeep = 2\n')
    with closing(Running(kwsd.program, runtime, XDG_CONFIG_HOME=str(runtime), HOME=str(runtime))) as running:
        running.speak(SAMPLES)
        while running.wait_for("listening").clips_written < 3:
            pass
        lines = kwsd.run("status", "--connect", running.control).stdout.splitlines()
        assert f"clips_folder       {runtime}/clips" in lines
        assert "clips_lost         0" in lines
        assert len(list_clips(runtime / "clips")) == 2
        changed = '[clips]\nfolder = ""\n'
        (runtime / "kwsd" / "config.toml").write_text(changed)
        refused = kwsd.run("reload", "--connect", running.control)
        assert refused.stderr == "kwsd: clips cannot change while the daemon runs: restart it\n"


def test_audio_from_before_a_mute_is_not_in_a_clip_after_it(program: str, runtime: Path) -> None:
    folder = runtime / "clips"
    first = first_word()
    with closing(Running(program, runtime, "--save-clips", str(folder))) as running:
        running.speak(NOISE)
        while send_request("status", running.control).windows < 1 + 16_000 // 1280:
            pass
        send_request("mute", running.control)
        send_request("unmute", running.control)
        # The word is over before the second is.
        running.speak(SAMPLES[first - 12_000 : first])
        assert running.heard() == ["go"]
    (path,) = list_clips(folder)
    samples, _ = soundfile.read(path)
    assert not samples[:1_000].any()
    assert samples[4_000:].any()


@pytest.mark.parametrize("place", ["--save-clips", "[clips]"])
def test_a_daemon_refuses_a_folder_that_others_can_read(kwsd: Command, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "clips"
    _open_to_others(folder)
    config = tmp_path / "config.toml"
    config.write_text(f'[clips]\nfolder = "{folder}"\n' if place == "[clips]" else "")
    flags: list[str | Path] = ["--save-clips", folder] if place == "--save-clips" else []
    done = kwsd.run("run", "--device", "-", "--config", config, *flags)
    reason = (
        f"kwsd: cannot save clips in {folder}: other users can open it: choose a new folder, or run chmod 700 on it\n"
    )
    assert (done.returncode, done.stderr) == (78, reason)
