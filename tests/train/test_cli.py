"""The command ``kwsd-train``: help, output and errors."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.terminal import Terminal

from kwsd import __version__
from kwsd_train.cli import app

Run = Callable[..., subprocess.Popen[str]]
COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands if command.callback)


def test_every_command_explains_itself_without_loading_tensorflow() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from kwsd_train.cli import app\n"
        f"for command in {COMMANDS}: assert CliRunner().invoke(app, [command, '--help']).exit_code == 0\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'audiomentations', 'pooch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_is_one_sentence_that_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = sys.modules['pooch'] = None\n"
        "sys.argv = ['kwsd-train', 'download', 'mini']; from kwsd_train.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    command = "pipx install --force '.[train]'"
    assert done.stderr == f"kwsd-train: this command needs pooch: install it, in a clone of kwsd, with  {command}\n"


def test_tensorflow_says_nothing_unless_it_is_asked_to() -> None:
    code = "from kwsd_train.quiet import import_tensorflow; import_tensorflow(); from keras import ops; ops.ones(3)"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}

    def messages(**level: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment | level, capture_output=True, text=True, check=True).stderr

    assert messages() == ""
    assert messages(TF_CPP_MIN_LOG_LEVEL="0") != ""


def test_predict_prints_the_label_with_the_highest_score_first(kwsd_train: Run, clips: Path, tmp_path: Path) -> None:
    clip = min((clips / "yes").iterdir())
    stdout, stderr = kwsd_train("predict", clip, "--chart", tmp_path / "scores.png").communicate()
    assert stdout.startswith("yes "), stderr
    assert len(stdout.splitlines()) == 10
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")


def test_explore_draws_the_tutorial_s_figures(kwsd_train: Run, data: Path, tmp_path: Path) -> None:
    stdout, stderr = kwsd_train("explore", "--data", data, "--out", tmp_path / "figures").communicate()
    assert stdout.splitlines()[0].split() == ["word", "training", "validation", "testing"], stderr
    assert "yes                    2           2           0" in stdout
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"waveforms.png", "waveform-and-spectrogram.png", "spectrograms.png"}


def test_explore_and_predict_print_one_json_object_for_programs(
    kwsd_train: Run, clips: Path, data: Path, tmp_path: Path
) -> None:
    stdout, stderr = kwsd_train("predict", min((clips / "yes").iterdir()), "--json").communicate()
    scores = json.loads(stdout)
    assert max(scores, key=scores.get) == next(iter(scores)) == "yes", stderr
    stdout, stderr = kwsd_train("explore", "--data", data, "--out", tmp_path, "--json").communicate()
    assert json.loads(stdout)["yes"] == {"training": 2, "validation": 2, "testing": 0}, stderr


def test_the_version_names_the_libraries(kwsd_train: Run) -> None:
    stdout, stderr = kwsd_train("--version").communicate()
    assert stdout.splitlines()[0] == f"kwsd-train {__version__}", stderr
    assert "\ntensorflow 2." in stdout


def test_evaluate_prints_one_json_object(kwsd_train: Run, clips: Path) -> None:
    stdout, stderr = kwsd_train("evaluate", "--data", clips, "--split", "validation", "--json").communicate()
    assert json.loads(stdout)["accuracy"]["of"] == 32, stderr


def test_measuring_in_streams_shows_bars_in_a_terminal_and_nothing_in_a_pipe(kwsd_train: Run, data: Path) -> None:
    arguments = ("evaluate", "--stream", "--data", data, "--per-keyword", "1", "--json")
    stdout, stderr = kwsd_train(*arguments, FORCE_COLOR="1").communicate()
    assert set(json.loads(stdout)["negatives"]) == {"speech", "noise"}
    assert stderr == ""
    terminal = Terminal(Path(sys.executable).with_name("kwsd-train"), *arguments, environment=os.environ)
    try:
        code, text = terminal.ended()
        assert code == 0, text
        assert b"keyword streams" in terminal.drawn
        assert b"noise without keywords" in terminal.drawn
        # The bars have disappeared, and the cursor is visible again.
        assert json.loads(text.strip().splitlines()[-1])["split"] == "validation"
        assert terminal.drawn.rindex(b"\x1b[?25h") > terminal.drawn.rindex(b"\x1b[?25l")
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["fit"], 2, "give either --data for a new run or --resume for an old one"),
        (["fit", "--resume", "r", "--after", "r"], 2, "--after applies only to a new run: leave it out with --resume"),
        (["fit", "--resume", "r", "--runs", "runs"], 2, "--runs applies only to a new run: leave it out with --resume"),
        (["fit", "--resume", "r", "--strict"], 2, "--strict applies only to a new run: leave it out with --resume"),
        (["fit", "--resume", "r", "--recipe", "tc-resnet"], 2, "--recipe applies only to a new run"),
        (["evaluate", "--data", "nowhere", "--stream", "--strict"], 2, "--strict applies only to clips"),
        (["evaluate", "--data", "nowhere"], 2, "there is no data folder nowhere"),
        (["evaluate", "--data", "nowhere", "--model", "none"], 66, "there is no model 'none'"),
        (["predict", "nothing.wav"], 65, "cannot read nothing.wav: No such file or directory"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    kwsd_train: Run, arguments: list[str], code: int, sentence: str
) -> None:
    process = kwsd_train(*arguments)
    stdout, stderr = process.communicate()
    assert process.returncode == code
    assert stdout == ""
    assert stderr.startswith(f"kwsd-train: {sentence}")
    assert len(stderr.splitlines()) == 1
