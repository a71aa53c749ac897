"""The printed table and the JSON object of ``kwsd tune``."""

import json
from pathlib import Path

import pytest

from kwsd.tuning.table import format_tuning_json, print_threshold_table
from kwsd.tuning.thresholds import DetectionCount, ThresholdChoice, ThresholdTable

NOW = ThresholdChoice({"go": 0.5}, {"go": 3}, 30.0)
CHOICE = ThresholdChoice({"go": 0.9}, {"go": 1}, 10.0)


def table(seconds: float) -> ThresholdTable:
    counts = [DetectionCount(0.5, 3, 30.0), DetectionCount(0.9, 1, 10.0)]
    return ThresholdTable(seconds, {"go": counts}, counts, NOW)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.startswith(" ") and "─" not in line]


def test_a_long_recording_has_rates_and_an_asterisk_marks_the_threshold_in_force(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_threshold_table(table(360), CHOICE)
    assert [row for row in rows(capsys.readouterr().out) if row] == [
        ["threshold", "go", "all", "per", "hour"],
        ["0.5", "*3", "3", "30.0"],
        ["0.9", "1", "1", "10.0"],
        ["in", "force", "3", "3", "30.0"],
        ["chosen", "1", "1", "10.0"],
    ]


def test_a_short_recording_has_no_rates(capsys: pytest.CaptureFixture[str]) -> None:
    print_threshold_table(table(359), None)
    shown = capsys.readouterr().out
    assert shown.startswith("0:05:59 of audio, too short for a rate; detections by threshold:\n")
    assert ["in", "force", "3", "3"] in rows(shown)
    assert "chosen" not in shown


def test_the_json_object_has_the_table_the_choice_and_the_file() -> None:
    found = json.loads(format_tuning_json(table(360), CHOICE, Path("config.toml")))
    assert list(found) == ["seconds", "keywords", "all", "now", "chosen", "file"]
    assert found["chosen"]["thresholds"] == {"go": 0.9}
    assert found["file"] == "config.toml"
    nothing = json.loads(format_tuning_json(table(360), None, None))
    assert (nothing["chosen"], nothing["file"]) == (None, None)
