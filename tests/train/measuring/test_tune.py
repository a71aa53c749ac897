"""Tuning of the detector on recordings, with the shipped model."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kwsd import load_model
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.errors import UsageError
from kwsd.models.bundle import read_bundle
from kwsd.models.find import find_model
from kwsd_train.cli import app
from kwsd_train.measuring.streaming import EvaluationData, ScoredData, score_evaluation_data
from kwsd_train.measuring.tune import (
    EQUAL_MISS_RATE,
    DetCurve,
    choose_operating_point,
    compute_det_curves,
    measure_settings,
)

pytestmark = pytest.mark.slow

MODEL = load_model()
RATE = 1000.0  # one false alarm in the four seconds of the test


@pytest.fixture(scope="module")
def scored(clips: Path) -> ScoredData:
    return score_evaluation_data(MODEL, EvaluationData(None, positives=DEMO_FOLDER, negatives=clips / "house"))


@pytest.fixture(scope="module")
def curves(scored: ScoredData) -> list[DetCurve]:
    return compute_det_curves(scored, MODEL.detector, RATE, lambda _: None)


def test_a_lower_threshold_never_misses_a_word_that_a_higher_one_finds(curves: list[DetCurve]) -> None:
    for curve in curves:
        assert [p.threshold for p in curve] == sorted((p.threshold for p in curve), reverse=True)
    single = next(c for c in curves if (c[0].settings.smoothing_windows, c[0].settings.hits) == (1, 1))
    assert single[-1].missed.count < single[0].missed.count


def test_the_chosen_point_is_the_fastest_within_the_rate_that_misses_few_words(curves: list[DetCurve]) -> None:
    point = choose_operating_point(curves, RATE)
    assert point.false_alarms.all.per_hour <= RATE
    assert point.latency_p95_s <= 0.5
    allowed = [p for curve in curves for p in curve if p.false_alarms.all.per_hour <= RATE and p.latency_p95_s <= 0.5]
    fewest = min(p.missed.share for p in allowed)
    assert point.missed.share <= fewest + EQUAL_MISS_RATE
    assert point.latency_median_s == min(
        p.latency_median_s for p in allowed if p.missed.share <= fewest + EQUAL_MISS_RATE
    )


def test_a_rate_that_no_settings_reach_is_an_error(scored: ScoredData) -> None:
    never = [[measure_settings(scored, MODEL.detector)]]
    with pytest.raises(UsageError, match="no settings detect words within"):
        choose_operating_point(never, -1.0)


def test_the_command_writes_a_bundle_that_kwsd_reads(clips: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "own"
    shutil.copytree(find_model("default"), bundle)
    arguments = ["tune", "--positives", str(DEMO_FOLDER), "--negatives", str(clips / "house"), "--model", str(bundle)]
    arguments += ["--false-alarms-per-hour", str(RATE), "--figure", str(tmp_path / "det.png"), "--json", "--write"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "too short to prove that rate" in result.stderr
    point = json.loads(result.stdout)
    written = read_bundle(bundle)
    assert written.detector.thresholds == point["settings"]["thresholds"]
    assert written.detector.hits == point["settings"]["hits"]
    assert written.metrics["tuning"]["missed"] == point["missed"]
    assert written.files["model.tflite"] == read_bundle(find_model("default")).files["model.tflite"]
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")


def test_without_write_the_bundle_stays_as_it_is(clips: Path, tmp_path: Path) -> None:
    before = (find_model("default") / "bundle.json").read_bytes()
    arguments = [
        "tune",
        "--positives",
        str(DEMO_FOLDER),
        "--negatives",
        str(clips / "house"),
        "--false-alarms-per-hour",
        "99999",
    ]
    result = CliRunner().invoke(app, [*arguments, "--figure", str(tmp_path / "det.png")], catch_exceptions=False)
    assert result.exit_code == 0
    assert "latency" in result.stdout
    assert "too short" not in result.stderr
    assert (find_model("default") / "bundle.json").read_bytes() == before
