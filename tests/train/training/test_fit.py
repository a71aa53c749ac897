"""Training: the files of a run, interrupted runs, repeated runs, and runs after others."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

from kwsd.errors import OutputError, UsageError
from kwsd_train.data.recipe_data import load_recipe_clips
from kwsd_train.data.split import speaker_of_clip, split_of_speaker
from kwsd_train.data.training_data import make_training_data
from kwsd_train.recipe import Recipe
from kwsd_train.training.fit import resume_run, start_run
from kwsd_train.training.run_folder import (
    HISTORY_FILE,
    NETWORK_FILE,
    SETTINGS_FILE,
    last_checkpoint,
    load_network,
    read_run_history,
    read_run_settings,
)

pytestmark = [
    # Keras 3.15 saves models with a numpy interface that is deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    # audiomentations imports audioread, which imports modules that Python 3.13 removes.
    pytest.mark.filterwarnings("ignore:.* slated for removal in Python 3.13:DeprecationWarning"),
]

Run = Callable[..., subprocess.Popen[str]]


def history(run: Path) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = json.loads((run / HISTORY_FILE).read_bytes())
    return rows


def test_a_run_leaves_settings_figures_and_pictures(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "settings.json",
        "history.json",
        "epoch-002.keras",
        "network.keras",
        "report.json",
        "report.txt",
        "curves.png",
        "confusion.png",
    }
    assert "keywords alone" in (finished / "report.txt").read_text()


@pytest.fixture
def own_data(data: Path, tmp_path: Path) -> Path:
    """A copy of the data that a test may change."""
    return Path(shutil.copytree(data, tmp_path / "data"))


@pytest.mark.parametrize(
    ("gone", "changes", "sentence"),
    [
        (("yes", "training"), {}, "no clip of yes for training"),
        (("[ny]*", "validation"), {}, "no clip of a keyword for validation"),
        (("", ""), {"keywords": []}, "glued_words needs other words"),
        (("", ""), {"mined": 4}, "there is no folder .*mined"),
    ],
)
def test_incomplete_data_are_refused_before_a_run_is_made(
    streaming: Recipe, own_data: Path, gone: tuple[str, str], changes: dict[str, Any], sentence: str
) -> None:
    words, split = gone
    for clip in own_data.glob(f"speech_commands/{words}/*.flac"):
        if split_of_speaker(speaker_of_clip(clip.stem)) == split:
            clip.unlink()
    assert streaming.mixture
    mixture = msgspec.structs.replace(streaming.mixture, mined=changes.get("mined", 0))
    keywords = changes.get("keywords", streaming.keywords)
    recipe = msgspec.structs.replace(streaming, mixture=mixture, keywords=keywords)
    with pytest.raises(UsageError, match=sentence):
        start_run(recipe, own_data, own_data / "run", print)
    assert not (own_data / "run").exists()


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("speech", "there is no folder .*speech: a recipe with a mixture needs it"),
        ("noise", "there is no folder .*noise: a recipe with a mixture needs it"),
        ("rir", "rir has no room impulse response: add some, or set room_share = 0"),
    ],
)
def test_data_without_speech_noise_or_rooms_are_refused_before_a_run_is_made(
    streaming: Recipe, own_data: Path, folder: str, sentence: str
) -> None:
    shutil.rmtree(own_data / folder)
    with pytest.raises(UsageError, match=sentence):
        start_run(streaming, own_data, own_data / "run", print)
    assert not (own_data / "run").exists()


def test_rooms_are_not_needed_without_a_share_of_them(streaming: Recipe, own_data: Path) -> None:
    shutil.rmtree(own_data / "rir")
    assert streaming.augmentation
    augmentation = msgspec.structs.replace(streaming.augmentation, room_share=0)
    start_run(msgspec.structs.replace(streaming, augmentation=augmentation), own_data, own_data / "run", print)
    assert (own_data / "run" / NETWORK_FILE).exists()


def test_the_settings_record_recipe_labels_clips_and_versions(finished: Path, tutorial: Recipe) -> None:
    settings = read_run_settings(finished)
    assert settings.recipe == tutorial
    assert settings.labels == ["no", "yes"]
    assert settings.clips["training"] == settings.clips["validation"] == {"no": 2, "yes": 2}
    assert set(settings.versions) == {"python", "tensorflow", "keras", "numpy"}


def test_every_epoch_has_its_figures(finished: Path) -> None:
    rows = history(finished)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all({"loss", "accuracy", "val_loss", "val_accuracy", "seconds"} <= set(row) for row in rows)


def test_the_same_seed_gives_the_same_network(finished: Path, tutorial: Recipe, data: Path, tmp_path: Path) -> None:
    start_run(tutorial, data, tmp_path / "again", print)
    first, second = (load_network(run).get_weights()[-2] for run in (finished, tmp_path / "again"))
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-6)


def test_training_stops_when_validation_gets_no_better(tutorial: Recipe, data: Path, tmp_path: Path) -> None:
    hopeless = msgspec.structs.replace(
        tutorial, epochs=30, patience=1, optimizer=msgspec.structs.replace(tutorial.optimizer, learning_rate=1.0)
    )
    start_run(hopeless, data, tmp_path / "run", print)
    losses = [row["val_loss"] for row in history(tmp_path / "run")]
    assert len(losses) < 30
    assert np.argmin(losses) == len(losses) - 2


def test_a_loss_that_is_not_a_number_ends_the_run_with_advice(tutorial: Recipe, data: Path, tmp_path: Path) -> None:
    diverging = msgspec.structs.replace(
        tutorial, optimizer=msgspec.structs.replace(tutorial.optimizer, learning_rate=3e38)
    )
    with pytest.raises(UsageError, match="the loss is not a number after epoch 1: try a lower learning_rate"):
        start_run(diverging, data, tmp_path / "run", print)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [SETTINGS_FILE]


def test_a_damaged_history_is_reported(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / NETWORK_FILE).unlink()
    (run / HISTORY_FILE).write_text('[{"epoch": 1, "loss": null}]')
    with pytest.raises(UsageError, match=r"history\.json is damaged: Expected `float`"):
        resume_run(run, print)


def test_a_run_without_a_finished_epoch_has_no_figures(tmp_path: Path) -> None:
    assert read_run_history(tmp_path) == []


def test_a_run_that_was_killed_goes_on_after_its_last_finished_epoch(
    streaming_file: Path, data: Path, tmp_path: Path, kwsd_train: Run
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(streaming_file.read_text().replace("epochs = 2", "epochs = 12"))
    first = kwsd_train("fit", "--recipe", recipe, "--data", data, "--runs", tmp_path / "runs")
    assert first.stderr
    assert any(line.startswith("epoch 3/12") for line in first.stderr)
    first.send_signal(signal.SIGKILL)
    first.wait()
    (run,) = (tmp_path / "runs").iterdir()
    checkpoint = last_checkpoint(run)
    assert checkpoint
    before = history(run)[: int(checkpoint.stem[-3:])]
    assert 3 <= len(before) < 12

    second = kwsd_train("fit", "--resume", run)
    stdout, stderr = second.communicate()
    assert second.returncode == 0, stderr
    assert stdout == f"{run}\n"
    assert f"resuming after epoch {len(before)}" in stderr
    rows = history(run)
    assert rows[: len(before)] == before
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert (run / NETWORK_FILE).exists()


def test_the_figures_and_the_unfinished_network_of_a_run_with_averaging_have_the_averaged_weights(
    streaming: Recipe, data: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    start_run(streaming, data, whole, print)
    clips = load_recipe_clips(streaming, data, strict=False)
    labels = read_run_settings(whole).labels
    inputs, truth = make_training_data(streaming, data, labels, clips).validation
    logits = load_network(whole).predict(inputs, batch_size=256, verbose=0)
    losses = keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)
    assert history(whole)[-1]["val_loss"] == pytest.approx(float(keras.ops.mean(losses)), abs=1e-5)

    finished_weights = load_network(whole).get_weights()
    (whole / NETWORK_FILE).unlink()
    for first, second in zip(finished_weights, load_network(whole).get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


REPORT = ("report.json", "report.txt", "confusion.png", "curves.png")


def test_a_run_that_was_killed_before_its_report_gets_the_report(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    for name in REPORT:
        (run / name).unlink()
    network, epochs = (run / NETWORK_FILE).read_bytes(), history(run)
    messages: list[str] = []
    resume_run(run, messages.append)
    assert messages == ["the network is trained: writing the missing report"]
    assert ((run / NETWORK_FILE).read_bytes(), history(run)) == (network, epochs)
    assert (run / "report.txt").read_text() == (finished / "report.txt").read_text()
    assert all((run / name).stat().st_size > 0 for name in REPORT)
    with pytest.raises(UsageError, match="is finished: there is nothing to resume"):
        resume_run(run, print)


def test_a_streaming_run_is_validated_on_keywords_alone_too(streaming: Recipe, data: Path, tmp_path: Path) -> None:
    start_run(streaming, data, tmp_path / "run", print)
    assert all(0 <= row["val_keywords"] <= 1 for row in history(tmp_path / "run"))
    assert read_run_settings(tmp_path / "run").labels == ["_silence_", "_unknown_", "no", "yes"]


def test_a_run_after_another_begins_with_its_weights(
    finished: Path, tutorial: Recipe, data: Path, tmp_path: Path
) -> None:
    still = msgspec.structs.replace(
        tutorial, epochs=1, optimizer=msgspec.structs.replace(tutorial.optimizer, learning_rate=1e-9)
    )
    start_run(still, data, tmp_path / "run", print, after=finished)
    before, after = (load_network(run).get_weights() for run in (finished, tmp_path / "run"))
    for first, second in zip(before, after, strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-6)
    assert read_run_settings(tmp_path / "run").after == "finished"


@pytest.fixture
def killed(finished: Path, tutorial: Recipe, data: Path, tmp_path: Path) -> Path:
    """A run after a copy of the finished run, as a process leaves it that is killed in the first epoch."""
    shutil.copytree(finished, tmp_path / "parent")
    optimizer = msgspec.structs.replace(tutorial.optimizer, learning_rate=1e-9)
    still = msgspec.structs.replace(tutorial, epochs=1, optimizer=optimizer)
    run = tmp_path / "killed"
    start_run(still, data, run, print, after=tmp_path / "parent")
    for path in run.iterdir():
        if path.name != SETTINGS_FILE:
            path.unlink()
    return run


def test_a_run_after_another_that_was_killed_in_its_first_epoch_begins_with_the_same_weights(
    killed: Path, finished: Path
) -> None:
    resume_run(killed, print)
    before, after = (load_network(run).get_weights() for run in (finished, killed))
    for first, second in zip(before, after, strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-6)


def test_a_killed_run_is_not_resumed_from_random_weights_if_the_run_before_it_is_missing(killed: Path) -> None:
    shutil.rmtree(killed.parent / "parent")
    with pytest.raises(UsageError, match=r"killed has no finished epoch and needs the run .*parent, which is missing"):
        resume_run(killed, print)


def test_settings_without_the_path_of_the_run_before_are_read_but_need_a_finished_epoch(killed: Path) -> None:
    settings = json.loads((killed / SETTINGS_FILE).read_bytes())
    del settings["after_path"]
    (killed / SETTINGS_FILE).write_text(json.dumps(settings))
    assert read_run_settings(killed).after == "parent"
    with pytest.raises(UsageError, match="its settings do not contain the path of the run parent"):
        resume_run(killed, print)


def test_a_damaged_network_is_reported(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    path = run / NETWORK_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"network\.keras is damaged"):
        load_network(run)


def test_a_run_after_one_of_another_network_or_with_other_labels_is_refused(
    finished: Path, tutorial: Recipe, streaming: Recipe, data: Path, tmp_path: Path
) -> None:
    other_labels = msgspec.structs.replace(tutorial, keywords=["yes", "stop"])
    for recipe in (other_labels, streaming):
        with pytest.raises(UsageError, match="another network or other labels"):
            start_run(recipe, data, tmp_path / "run", print, after=finished)
    assert not (tmp_path / "run").exists()


def test_a_run_after_another_may_have_other_regularization(streaming: Recipe, data: Path, tmp_path: Path) -> None:
    first = msgspec.structs.replace(
        streaming, epochs=1, optimizer=msgspec.structs.replace(streaming.optimizer, warmup_epochs=0)
    )
    start_run(first, data, tmp_path / "first", print)
    gentle = msgspec.structs.replace(first.network, dropout=0.0, mask_bands=1, mask_frames=1)
    start_run(
        msgspec.structs.replace(first, network=gentle), data, tmp_path / "second", print, after=tmp_path / "first"
    )
    assert (tmp_path / "second" / NETWORK_FILE).exists()


def test_a_run_after_one_without_an_epoch_is_refused(
    finished: Path, tutorial: Recipe, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "settings.json").write_bytes((finished / "settings.json").read_bytes())
    with pytest.raises(UsageError, match="no finished epoch"):
        start_run(tutorial, data, tmp_path / "run", print, after=tmp_path / "empty")


def test_a_run_folder_is_never_overwritten(finished: Path, tutorial: Recipe, data: Path) -> None:
    with pytest.raises(OutputError, match="cannot create the run folder"):
        start_run(tutorial, data, finished, print)


def test_a_folder_that_is_no_run_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run folder"):
        resume_run(tmp_path, print)
