"""A network that crashes, never ends or needs all memory ends a child process, and not this one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kwsd import load_model
from kwsd.errors import ModelError
from kwsd.frontend import Float32
from kwsd.models.model import Model, Window
from kwsd.models.trial import TRIAL_MEMORY, try_in_child


def divide_by_zero() -> None:
    raise ZeroDivisionError("the reason")


def refuse() -> None:
    raise ModelError("this is the reason")


def fill_memory() -> None:
    np.ones(2 * TRIAL_MEMORY, np.uint8)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        (os.abort, r"^mine crashes LiteRT \(signal 6\)"),
        (crash, r"^mine crashes LiteRT \(signal 11\)"),
        (fill_memory, "^mine needs more than 256 MB of memory"),
        (divide_by_zero, "^mine cannot be used: the reason$"),
        (refuse, "^this is the reason$"),
        pytest.param(signal.pause, "^mine needs more than 5 s for a trial", marks=pytest.mark.slow),
    ],
)
def test_what_ends_a_child_becomes_a_sentence(load: object, sentence: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert callable(load)
    with pytest.raises(ModelError, match=sentence):
        try_in_child(load, "mine")
    assert capfd.readouterr() == ("", "")


def test_a_function_that_returns_leaves_nothing_behind() -> None:
    open_before = sorted(Path("/proc/self/fd").iterdir())
    try_in_child(int, "mine")
    assert len(sorted(Path("/proc/self/fd").iterdir())) == len(open_before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_user_s_own_memory_limit_is_kept() -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); "
    program = limit + "from kwsd.models.trial import try_in_child; try_in_child(int, 'mine')"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("load", ["int", "os.abort"])
def test_a_trial_does_not_need_the_signal_of_its_end(load: str) -> None:
    ignore = "import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
    program = ignore + f"from kwsd.models.trial import try_in_child; try_in_child({load}, 'mine')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ("mine crashes LiteRT" in done.stderr) == (load == "os.abort")


class Unreliable:
    """A network that returns given scores."""

    def __init__(self, *scores: float) -> None:
        self._scores = np.array(scores, np.float32)

    def scores(self, _window: Window) -> Float32:
        return self._scores


@pytest.mark.parametrize(
    ("scores", "published"),
    [
        ((507.9, -3.0), [1.0, 0.0]),
        ((float("nan"), 0.5), [0.0, 0.5]),
        ((float("inf"), float("-inf")), [1.0, 0.0]),
        ((0.25, 0.75), [0.25, 0.75]),
    ],
)
def test_no_score_leaves_the_model_that_is_not_a_probability(
    scores: tuple[float, float], published: list[float]
) -> None:
    model = load_model()
    model = Model("mine", ("a", "b"), model.hop_samples, model.detector, Unreliable(*scores))
    assert model.predict(np.zeros((1, 16_000), np.float32)).tolist() == [published]
