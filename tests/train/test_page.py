"""The report as one HTML page."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from kwsd import load_model
from kwsd_train import page
from kwsd_train.cli import app
from kwsd_train.streaming import Sources, hear, report


class Addresses(HTMLParser):
    """Everything that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"src", "href"}]
        assert tag not in {"script", "link"}


def test_the_page_holds_its_figures_and_the_false_alarms_as_sound(clips: Path, tmp_path: Path) -> None:
    model = load_model()
    model.set_thresholds(dict.fromkeys(model.keywords, 0.3))
    sources = Sources(None, positives=clips, negatives=clips / "yes", per_keyword=1)
    trials = hear(model, sources)
    page.write(tmp_path / "report.html", model, sources, trials, report(model, sources, trials))
    parser = Addresses()
    parser.feed((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert all(address.startswith("data:") for address in parser.found)
    assert any(address.startswith("data:image/png;base64,iVBOR") for address in parser.found)
    sounds = [address for address in parser.found if address.startswith("data:audio/wav")]
    assert sounds
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sounds[0].split(",")[1])))
    assert rate == 16_000
    assert abs(samples).max() > 0.01


@pytest.mark.filterwarnings("ignore:.* slated for removal in Python 3.13:DeprecationWarning")  # what librosa imports
def test_the_command_writes_the_page_with_a_confusion_matrix(data: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", "--stream", "--data", str(data), "--per-keyword", "1", "--split", "all"]
    result = CliRunner().invoke(app, [*arguments, "--report", str(tmp_path / "report.html")], catch_exceptions=False)
    assert result.exit_code == 0
    assert re.search(r"^clean +\d", result.stdout, re.MULTILINE)
    assert "Clips, by spoken and recognised label" in (tmp_path / "report.html").read_text(encoding="utf-8")
