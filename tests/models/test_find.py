"""Which model a name means."""

from pathlib import Path

import pytest

from kwsd.errors import ModelError
from kwsd.models.find import find_model


def test_an_installed_model_s_name_goes_before_a_folder_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "default").mkdir()
    monkeypatch.chdir(tmp_path)
    assert (find_model("default") / "bundle.json").exists()
    assert find_model("./default") == Path("default")


def test_a_folder_in_the_working_directory_needs_no_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "saved").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_model("saved") == Path("saved")
    assert find_model("saved/") == Path("saved")


def test_a_home_that_is_not_there_is_no_folder() -> None:
    with pytest.raises(ModelError, match="there is no model folder ~nobody-at-all/saved"):
        find_model("~nobody-at-all/saved")
