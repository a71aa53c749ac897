"""A finished run."""

from pathlib import Path

import pytest

from kwsd_train.recipe import Recipe
from kwsd_train.training.fit import start_run


@pytest.fixture(scope="session")
def finished(tutorial: Recipe, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tutorial's recipe on two words."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    start_run(tutorial, data, run, print)
    return run
