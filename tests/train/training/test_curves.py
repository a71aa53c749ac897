"""Progress bars and curves in a terminal during training."""

import io
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from helpers.terminal import Terminal
from rich.cells import cell_len
from rich.console import Console

from kwsd_train.training.curves import MARK, CurveScale, TrainingCurves, TrainingDisplay, draw_braille_line
from kwsd_train.training.run_folder import History

COLOUR = re.compile(rb"\x1b\[[0-9;]*3[0-7]")
BRAILLE = re.compile("[\u2801-\u28ff]")


def history(epochs: int) -> History:
    """Figures that improve; those of validation are always a little worse."""
    return [
        {"epoch": n + 1, "loss": 1 / (n + 1), "val_loss": 1.2 / (n + 1), "accuracy": n / 10, "val_accuracy": n / 12}
        for n in range(epochs)
    ]


def shown(drawn: TrainingCurves | TrainingDisplay, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(drawn.draw() if isinstance(drawn, TrainingDisplay) else drawn)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.fixture
def terminal(streaming_file: Path, data: Path, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in which ``kwsd-train fit`` runs."""
    program = Path(sys.executable).with_name("kwsd-train")
    arguments = ("fit", "--recipe", streaming_file, "--data", data, "--runs", tmp_path / "runs")
    opened = Terminal(program, *arguments, environment=os.environ)
    yield opened
    opened.close()


# Drawing


def test_a_straight_line_is_straight() -> None:
    assert draw_braille_line([0, 1], CurveScale(0, 1), 2, 1, 2) == ["⡠⠊"]
    assert draw_braille_line([0, 1], CurveScale(0, 1), 2, 2, 2) == ["\u2800⡜", "⡜\u2800"]
    assert draw_braille_line([1, 1, 1], CurveScale(0, 1), 3, 1, 3) == ["⠉⠉⠉"]


def test_a_line_leaves_room_for_the_epochs_to_come() -> None:
    (line,) = draw_braille_line([0.5, 0.5], CurveScale(0, 1), 10, 1, 4)
    assert BRAILLE.findall(line) == ["⠤"] * 3 + ["⠄"]
    assert draw_braille_line([0.3], CurveScale(0, 1), 4, 1, 1)[0][1:] == "\u2800" * 3


def test_figures_that_are_all_the_same_are_drawn() -> None:
    assert BRAILLE.search(draw_braille_line([0.5, 0.5], CurveScale(0.5, 0.5), 4, 1, 2)[0])


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_a_number_is_left_out(loss: float) -> None:
    figures = history(3)
    figures[2] |= {"loss": loss, "val_loss": loss}
    lines = shown(TrainingCurves(figures, 3), width=100, height=30)
    assert "".join(lines).count(MARK) == 2 + 3 + 1
    assert lines[1].split("│")[1].split()[0] == "1.2"


def test_without_any_number_no_line_is_drawn() -> None:
    figures = [row | {"loss": math.nan, "val_loss": math.nan} for row in history(2)]
    lines = shown(TrainingCurves(figures, 2), width=100, height=30)
    assert not any(BRAILLE.search(line.split("│")[1]) for line in lines[1:9])


def test_the_extremes_are_on_the_first_and_the_last_line_beside_their_numbers() -> None:
    figures = [row | {"val_loss": 3.0} for row in history(8)]
    lines = shown(TrainingCurves(figures, 8), width=100, height=30)
    highest, lowest = (line.split("│")[1] for line in (lines[1], lines[8]))
    assert highest.split()[0] == "3"
    assert highest.count(MARK) == 8
    assert lowest.split()[0] == "0.125"
    assert BRAILLE.search(lowest)
    assert not BRAILLE.search(highest)


def test_training_and_validation_differ_without_colours() -> None:
    text = "\n".join(shown(TrainingCurves(history(6), 20), width=100, height=30))
    assert text.count(MARK) == 2 * 6 + 1
    assert len(BRAILLE.findall(text)) > 2 * 6
    assert "loss  training 0.167, validation 0.2" in text


def test_before_the_first_epoch_there_are_the_bars_alone() -> None:
    lines = shown(TrainingDisplay(Console(), [], epochs=3, steps=10), width=80, height=30)
    assert [line.split("  ")[0] for line in lines] == ["epoch 1 of 3", "all epochs"]


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 40), (50, 24), (40, 8)])
def test_the_picture_fits_the_terminal_with_its_bars(size: tuple[int, int]) -> None:
    width, height = size
    lines = shown(TrainingDisplay(Console(), history(9), epochs=20, steps=10), width, height)
    assert len(lines) < height
    assert max(map(cell_len, lines)) <= width
    assert lines[-1].startswith("all epochs")
    assert any(MARK in line for line in lines) == (height > 8)


def test_a_resumed_run_starts_with_its_progress() -> None:
    lines = shown(TrainingDisplay(Console(), history(5), epochs=20, steps=10), width=80, height=30)
    assert "25 %" in lines[-1]


def test_training_that_stops_early_has_no_time_left() -> None:
    screen = TrainingDisplay(Console(file=io.StringIO()), history(5), epochs=20, steps=10)
    screen.on_train_end()
    lines = shown(screen, width=80, height=30)
    assert "100 %" in lines[-1]
    assert "0:00:00 left" in lines[-1]


# In a terminal, and elsewhere


def test_a_terminal_shows_bars_and_curves_and_is_left_in_order(terminal: Terminal, tmp_path: Path) -> None:
    code, text = terminal.ended()
    assert code == 0, text
    assert re.search(r"epoch 1/2: .*val_loss", text)
    last = text[text.rindex("╭─ loss") :]
    assert MARK in last
    assert BRAILLE.search(last)
    assert re.search(r"epoch 2 of 2 ━+ +100 % .* elapsed, .* left\n", last)
    assert re.search(r"all epochs +━+ +100 % .* elapsed, 0:00:00 left\n", last)
    assert last.splitlines()[-1] == str(next((tmp_path / "runs").iterdir()))  # on standard output
    assert COLOUR.search(terminal.drawn)
    # The cursor is visible again.
    assert terminal.drawn.rindex(b"\x1b[?25h") > terminal.drawn.rindex(b"\x1b[?25l")


def test_no_color_switches_colours_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn() -> str:
        console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80, height=30)
        console.print(TrainingDisplay(console, history(5), epochs=20, steps=10).draw())
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert COLOUR.search(drawn().encode())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not COLOUR.search(drawn().encode())


def test_a_pipe_gets_one_plain_line_per_epoch(
    kwsd_train: Callable[..., Popen[str]],
    streaming_file: Path,
    data: Path,
    tmp_path: Path,
) -> None:
    arguments = ("fit", "--recipe", streaming_file, "--data", data, "--runs", tmp_path / "runs")
    stdout, stderr = kwsd_train(*arguments, FORCE_COLOR="1").communicate()
    assert Path(stdout.strip()).is_dir(), stderr
    assert "\x1b" not in stderr
    assert [line.split(":")[0] for line in stderr.splitlines() if line.startswith("epoch ")] == [
        "epoch 1/2",
        "epoch 2/2",
    ]
