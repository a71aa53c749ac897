"""Training: the files of a run, interrupted runs, repeated runs, and runs made from others."""

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kwsd.errors import OutputError, UsageError
from kwsd_train.data.split import speaker_of_clip, split_of_speaker
from kwsd_train.recipe import Recipe, Resnet
from kwsd_train.training.derived_runs import average_runs, cut_channels
from kwsd_train.training.export import export_bundle
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


@pytest.fixture(scope="session")
def finished(tutorial: Recipe, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tutorial's recipe on two words."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    start_run(tutorial, data, run, print)
    return run


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


def test_a_run_after_another_may_have_more_channels_but_not_fewer_and_both_can_be_averaged(
    streaming: Recipe, data: Path, tmp_path: Path
) -> None:
    optimizer = msgspec.structs.replace(streaming.optimizer, learning_rate=1e-9, warmup_epochs=0)
    narrow = msgspec.structs.replace(streaming, epochs=1, optimizer=optimizer, network=Resnet([8, 12, 16], 0.1))
    wide = msgspec.structs.replace(narrow, network=Resnet([8, 16, 16], 0.1))
    start_run(narrow, data, tmp_path / "narrow", print)
    start_run(wide, data, tmp_path / "wide", print, after=tmp_path / "narrow")
    assert load_network(tmp_path / "wide").count_params() > load_network(tmp_path / "narrow").count_params()
    with pytest.raises(UsageError, match="another network or other labels"):
        start_run(narrow, data, tmp_path / "again", print, after=tmp_path / "wide")
    average_runs([tmp_path / "narrow", tmp_path / "wide"], tmp_path / "mean")
    assert read_run_settings(tmp_path / "mean").averaged == ["narrow", "wide"]
    with pytest.raises(UsageError, match="is finished: there is nothing to resume"):
        resume_run(tmp_path / "mean", print)
    first, last, mean = (load_network(tmp_path / run).get_weights()[-1] for run in ("narrow", "wide", "mean"))
    np.testing.assert_allclose(mean, (first + last) / 2, rtol=1e-6)
    with pytest.raises(OutputError, match="cannot create the run folder"):
        average_runs([tmp_path / "wide"], tmp_path / "mean")
    with pytest.raises(UsageError, match="did not start with the weights of"):
        average_runs([tmp_path / "wide", tmp_path / "narrow"], tmp_path / "other")


@pytest.fixture
def short(streaming: Recipe) -> Recipe:
    """A recipe with a small `resnet` and one epoch."""
    optimizer = msgspec.structs.replace(streaming.optimizer, warmup_epochs=0)
    return msgspec.structs.replace(streaming, epochs=1, optimizer=optimizer, network=Resnet([8, 12, 16], 0.1))


def test_channels_can_be_cut_off_a_run_again(short: Recipe, data: Path, tmp_path: Path) -> None:
    start_run(short, data, tmp_path / "run", print)
    cut_channels(tmp_path / "run", [8, 8, 16], tmp_path / "cut")
    whole, cut = (load_network(tmp_path / run).get_weights() for run in ("run", "cut"))
    assert sum(weights.size for weights in cut) < sum(weights.size for weights in whole)
    for learned, kept in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(kept, learned[tuple(slice(size) for size in kept.shape)])
    cut_channels(tmp_path / "cut", [8, 8, 8], tmp_path / "again")
    settings = read_run_settings(tmp_path / "again")
    assert isinstance(settings.recipe.network, Resnet)
    assert (settings.cut, settings.recipe.network.channels) == ([8, 12, 16], [8, 8, 8])
    for channels in ([8, 12], [8, 12, 17], [8, 12, 16]):
        with pytest.raises(
            UsageError, match=r"has channels \[8, 12, 16\]: give as many numbers, none higher, some lower"
        ):
            cut_channels(tmp_path / "run", channels, tmp_path / "other")
    with pytest.raises(OutputError, match="cannot create the run folder"):
        cut_channels(tmp_path / "run", [8, 8, 8], tmp_path / "cut")
    bundle = export_bundle(tmp_path / "again", tmp_path / "bundle", "float32")
    assert bundle.training["cut"] == [8, 12, 16]
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "The network had 8, 12, 16 channels. After training, they were cut to 8, 8, 8." in card


def test_no_mean_is_taken_with_a_run_of_more_channels(short: Recipe, data: Path, tmp_path: Path) -> None:
    start_run(short, data, tmp_path / "first", print)
    start_run(short, data, tmp_path / "second", print, after=tmp_path / "first")
    cut_channels(tmp_path / "second", [8, 8, 16], tmp_path / "cut")
    with pytest.raises(UsageError, match="first has more channels than"):
        average_runs([tmp_path / "first", tmp_path / "cut"], tmp_path / "mean")


def test_a_damaged_network_is_reported(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    path = run / NETWORK_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"network\.keras is damaged"):
        load_network(run)


def test_no_channels_can_be_cut_off_another_network(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a resnet"):
        cut_channels(finished, [8], tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


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
