"""The HTML report: the clips that it lists, and what a browser shows."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from kwsd import load_model
from kwsd.errors import OutputError, UsageError
from kwsd_train.cli import app
from kwsd_train.data import survey
from kwsd_train.data.dataset import load_clips
from kwsd_train.measuring.streaming import EvaluationData
from kwsd_train.recipe import Recipe
from kwsd_train.reporting.page import Cell, Gallery, GalleryClip, Player, Section, ShadedCount, Table, render_page
from kwsd_train.reporting.report import NO_STREAMS, evaluate_all_clips, write_html_report
from kwsd_train.training.fit import start_run
from kwsd_train.training.run_folder import read_run_history

pytestmark = [
    # Keras 3.15 saves models with a numpy interface that is deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    # audiomentations imports audioread, which imports modules that Python 3.13 removes.
    pytest.mark.filterwarnings("ignore:.* slated for removal in Python 3.13:DeprecationWarning"),
]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# A script at the start of the page records every failure. After the load event, when pictures and sounds are loaded,
# it writes its findings.
PROBE = """<script>
const failed = [];
addEventListener("error", event => failed.push(String(event.target.src || event.message).slice(0, 80)), true);
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const found = {
    failed,
    loaded: performance.getEntriesByType("resource").map(entry => entry.name.slice(0, 30)),
    images: all("img").map(image => [image.naturalWidth, image.alt]),
    dark: all("picture img").map(image => image.currentSrc == image.parentNode.querySelector("source").srcset),
    sounds: all("audio").map(sound => [sound.duration, sound.getAttribute("aria-label"), sound.error]),
    headings: all("h2").map(heading => heading.textContent),
    contents: all("nav a").map(link => [link.textContent, document.querySelector(link.hash)?.tagName]),
    tables: all("table").map(table => [table.caption.textContent, table.tHead.rows[0].cells.length,
      [...table.tBodies[0].rows].map(row => row.cells.length)]),
    scopes: all("th").map(cell => cell.scope),
    overflow: document.documentElement.scrollWidth - innerWidth,
    background: getComputedStyle(document.body).color,
  };
  const result = document.createElement("script");
  result.id = "probe";
  result.type = "application/json";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
</script>"""


def show(page: Path, tmp_path: Path, *options: str) -> dict[str, Any]:
    """Open a page in a headless Chromium and return the findings of `PROBE`."""
    probed = tmp_path / "probed.html"
    text = page.read_text(encoding="utf-8")
    probed.write_text(text.replace("<head>", "<head>" + PROBE, 1), encoding="utf-8")
    assert CHROMIUM
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [CHROMIUM, "--headless", *sandbox, "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--enable-logging=stderr", *options, "--dump-dom", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    result = re.search(r'<script id="probe" type="application/json">(.*?)</script>', done.stdout, re.DOTALL)
    assert result, done.stdout[-500:]
    found: dict[str, Any] = json.loads(unescape(result[1]))
    return found


@pytest.fixture(scope="module")
def suspicious(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder with a clip of "yes" that is also in the folder "no", and a silent clip."""
    folder = tmp_path_factory.mktemp("suspicious") / "data"
    shutil.copytree(data, folder)
    words = folder / "speech_commands"
    shutil.copy(min((words / "yes").iterdir()), words / "no" / "wrong_nohash_0.flac")
    hiss = np.random.default_rng(0).normal(0, 0.0003, 12_000)
    soundfile.write(words / "up" / "quiet_nohash_0.flac", hiss, 16_000)
    return folder


@pytest.fixture(scope="module")
def run(tutorial: Recipe, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tutorial's recipe on two words."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    start_run(tutorial, data, folder, print)
    return folder


@pytest.fixture(scope="module")
def page(suspicious: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the shipped model, with low thresholds that cause false alarms."""
    model = load_model()
    model = model.with_thresholds(dict.fromkeys(model.keywords, 0.3))
    path = tmp_path_factory.mktemp("report") / "report.html"
    sources = EvaluationData(suspicious, split="all", per_keyword=1)
    write_html_report(path, model, sources, read_run_history(run), print)
    return path


@pytest.fixture(scope="module")
def shown(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return show(page, tmp_path_factory.mktemp("browser"), "--window-size=1280,900")


@needs_chromium
def test_a_browser_loads_nothing_but_the_file(shown: dict[str, Any]) -> None:
    assert shown["failed"] == []
    assert all(name.startswith("data:") for name in shown["loaded"])


@needs_chromium
def test_every_picture_is_drawn_and_described(shown: dict[str, Any]) -> None:
    # Lengths and levels, training curves, DET curves, and a picture of each clip in the gallery.
    assert len(shown["images"]) == 3 + 3 * 13
    assert all(width > 0 and text for width, text in shown["images"])


@needs_chromium
def test_every_sound_can_be_played_and_has_a_name(shown: dict[str, Any]) -> None:
    seconds = [seconds for seconds, _, _ in shown["sounds"]]
    assert all(error is None and name for _, name, error in shown["sounds"])
    assert seconds[-1] == pytest.approx(2, abs=1.5)  # of a false alarm
    assert seconds.count(1) > 3 * 13
    names = [name for _, name, _ in shown["sounds"]]
    assert "up/quiet_nohash_0.flac" in names
    assert "no/wrong_nohash_0.flac" in names
    assert any(name.startswith("false alarm 1, ") for name in names)


def test_a_path_below_a_picture_breaks_after_its_folder() -> None:
    clip = GalleryClip("a picture", "data:,", Player("no/one_nohash_0.wav", "data:,"))
    assert "no/<wbr>one_nohash_0.wav<" in render_page("title", "lead", [Section("clips", [Gallery([clip])])])


@needs_chromium
def test_the_contents_lead_to_every_section(shown: dict[str, Any]) -> None:
    headings = [
        "Summary",
        "Data",
        "Clips to check",
        "A few clips of each word",
        "Training",
        "Single clips",
        "Streams",
    ]
    assert shown["headings"] == headings
    assert shown["contents"] == [[heading, "SECTION"] for heading in headings]


@needs_chromium
def test_every_table_has_a_caption_and_headers_for_all_its_cells(shown: dict[str, Any]) -> None:
    assert all(caption and set(rows) == {columns} for caption, columns, rows in shown["tables"])
    assert set(shown["scopes"]) == {"row", "col"}
    captions = [caption for caption, _, _ in shown["tables"]]
    assert "Accuracy by word" in captions
    assert "Words in streams" in captions


@needs_chromium
def test_the_page_is_as_wide_as_the_screen_also_where_that_is_narrow(
    shown: dict[str, Any], page: Path, tmp_path: Path
) -> None:
    assert shown["overflow"] <= 0
    # The narrowest window of headless Chromium has 500 pixels.
    assert show(page, tmp_path, "--window-size=500,900")["overflow"] <= 0


@needs_chromium
def test_a_dark_browser_gets_light_text_and_dark_figures(shown: dict[str, Any], page: Path, tmp_path: Path) -> None:
    dark = show(page, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert (shown["dark"], dark["dark"]) == ([False] * 3, [True] * 3)
    assert shown["background"] == "rgb(0, 0, 0)"
    assert dark["background"] == "rgb(255, 255, 255)"
    assert all(width > 0 for width, _ in dark["images"])


def test_a_clip_in_the_folder_of_another_word_is_a_duplicate_and_mislabelled(suspicious: Path) -> None:
    clips, model = load_clips(suspicious), load_model()
    (group,) = survey.find_duplicates(clips)
    names = {f"{clips.paths[index].parent.name}/{clips.paths[index].stem}" for index in group}
    assert "no/wrong_nohash_0" in names
    assert {name.partition("/")[0] for name in names} == {"no", "yes"}
    evaluation = evaluate_all_clips(model, suspicious, "all", print)
    surest = survey.find_mislabelled(evaluation.comparisons)[0]
    assert evaluation.clip_name(surest.clip) == "no/wrong_nohash_0.flac"
    assert surest.other_label == "yes"


def test_a_clip_with_a_low_peak_is_silent(suspicious: Path) -> None:
    clips = load_clips(suspicious)
    measures = survey.measure_clips(clips)
    assert [clips.paths[index].name for index in survey.find_silent(measures)] == ["quiet_nohash_0.flac"]
    assert measures.seconds[survey.find_silent(measures)[0]] == 0.75


def test_label_comparisons_begin_with_the_lowest_score_and_leave_out_words_without_a_label() -> None:
    words = np.array(["yes", "no", "cat"])
    scores = np.array([[0.8, 0.2], [0.05, 0.95], [0.5, 0.5]], np.float32)
    found = survey.compare_labels(words, scores, ["no", "yes"])
    assert [(comparison.clip, comparison.other_label) for comparison in found] == [(1, "yes"), (0, "no")]
    assert [comparison.clip for comparison in survey.find_mislabelled(found)] == [1]


def test_a_report_on_a_data_folder_without_speech_and_noise_has_no_streams(
    run: Path, data: Path, tmp_path: Path
) -> None:
    arguments = ["report", "--run", str(run), "--data", str(data / "speech_commands")]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "page.html")], catch_exceptions=False)
    assert result.exit_code == 0
    assert NO_STREAMS in result.stderr
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert NO_STREAMS in text
    assert "After 2 epochs" in text
    assert re.search(r"wrote .*page\.html, \d+\.\d MB", result.stderr)


def test_a_model_that_finds_no_word_in_the_streams_has_no_latency(data: Path, tmp_path: Path) -> None:
    model = load_model()
    model = model.with_thresholds(dict.fromkeys(model.keywords, 1.0))
    write_html_report(tmp_path / "page.html", model, EvaluationData(data, split="all", per_keyword=1), [], print)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<dd>100.0% <small>of " in text  # missed
    assert "<dt>Latency, median</dt><dd>none <small>95th percentile: none</small></dd>" in text


def test_a_run_with_other_labels_than_the_model_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    arguments = [
        "report",
        "--run",
        str(run),
        "--model",
        "default",
        "--data",
        str(data),
        "--out",
        str(tmp_path / "page"),
    ]
    with pytest.raises(UsageError, match="has other labels than model default"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_all_text_is_escaped() -> None:
    row: list[Cell] = ["<name>", "<td>", Player("<sound>", "data:,"), ShadedCount(1, 0.5)]
    table = Table("<caption>", ["<head>", "", "", ""], [row])
    shown = render_page("<title>", "<lead>", [Section("<section>", [table])])
    names = ("title", "lead", "section", "caption", "head", "name", "td", "sound")
    assert all(f"&lt;{name}&gt;" in shown for name in names)
    assert not any(f"<{name}>" in shown for name in ("lead", "name", "sound"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/report.html", "there is no folder"),
        ("folder", "it is a folder"),
        pytest.param(
            "closed.html",
            "permission denied",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything"),
        ),
    ],
)
def test_a_page_that_cannot_be_written_is_reported_before_anything_is_read(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "closed.html").touch(0o400)
    with pytest.raises(OutputError, match=f"cannot write .*: {reason}"):
        write_html_report(tmp_path / name, load_model(), EvaluationData(tmp_path / "no data"), [], print)
