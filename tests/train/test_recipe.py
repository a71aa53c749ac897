"""Recipes: the shipped ones are valid, and invalid ones are refused."""

from pathlib import Path

import pytest

from kwsd.errors import ConfigError
from kwsd_train.recipe import find_recipe, read_recipe, recipe_names

MINIMUM = 'name = "x"\nepochs = 1\nbatch_size = 1\n[network]\ntype = "tutorial"\n'


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_is_valid_and_named_like_its_file(name: str) -> None:
    assert read_recipe(name).name == name


def test_the_package_has_the_tutorial_with_both_splits_and_the_default() -> None:
    assert {"tutorial", "tutorial-random", "default"} <= set(recipe_names())
    assert read_recipe("tutorial").split == "official"
    assert read_recipe("tutorial-random").split == "random"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("epoch = 3", "there is no setting 'epoch'"),
        ("[network.more]", "network: there is no setting 'more'"),
        ("[optimizer]\nrate = 1", "optimizer: there is no setting 'rate'"),
        ("[detector]\nhits = 0", "detector.hits: expected a whole number >= 1"),
        (
            "[mixture]\nper_keyword = 1\nper_unknown_word = 1\nspeech_crops = 1\nhalf_words = 1\nsilences = 1",
            "go together",
        ),
        ("[optimizer]\nwarmup_epochs = 1", "warmup_epochs must be less than epochs, which is 1"),
        ("[optimizer]\naveraging = 2", "optimizer.averaging: expected a number"),
        ("[optimizer]\naveraging = 0.9", "averaging needs weight_decay or warmup_epochs"),
    ],
)
def test_an_invalid_recipe_is_refused(tmp_path: Path, line: str, message: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"{line}\n{MINIMUM}" if line.startswith("epoch") else f"{MINIMUM}{line}\n")
    with pytest.raises(ConfigError, match=message):
        read_recipe(str(recipe))


def test_an_unknown_recipe_is_refused_with_a_list_of_the_recipes() -> None:
    with pytest.raises(ConfigError, match=r"there is no recipe 'defalut': choose .*tutorial"):
        find_recipe("defalut")
