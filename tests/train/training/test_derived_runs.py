"""Runs made from others: the mean of several, and one with fewer channels."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from kwsd.errors import OutputError, UsageError
from kwsd.models.bundle import read_bundle
from kwsd_train.recipe import Recipe, Resnet
from kwsd_train.training.derived_runs import average_runs, cut_channels
from kwsd_train.training.export import export_bundle
from kwsd_train.training.fit import resume_run, start_run
from kwsd_train.training.run_folder import load_network, read_run_settings

pytestmark = [
    # Keras 3.15 saves models with a numpy interface that is deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    # audiomentations imports audioread, which imports modules that Python 3.13 removes.
    pytest.mark.filterwarnings("ignore:.* slated for removal in Python 3.13:DeprecationWarning"),
]


@pytest.fixture
def short(streaming: Recipe) -> Recipe:
    """A recipe with a small `resnet` and one epoch."""
    optimizer = msgspec.structs.replace(streaming.optimizer, warmup_epochs=0)
    return msgspec.structs.replace(streaming, epochs=1, optimizer=optimizer, network=Resnet([8, 12, 16], 0.1))


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


def test_the_script_that_trains_the_default_model_names_its_runs_as_the_model_card_does() -> None:
    root = Path(__file__).parents[3]
    script = (root / "scripts" / "train-default").read_text()
    first, last = read_bundle(root / "models" / "default").training["averaged"]
    assert f"average {first} round-5 round-6\n" in script
    assert f'--after "$runs/{first}"' in script
    assert re.fullmatch(r"default-\d{8}-\d{6}", last)  # the name that `fit` gives a run
    assert f'average last-mean {first} "$(readlink "$runs/round-7")"\n' in script


def test_no_channels_can_be_cut_off_another_network(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a resnet"):
        cut_channels(finished, [8], tmp_path / "cut")
    assert not (tmp_path / "cut").exists()
