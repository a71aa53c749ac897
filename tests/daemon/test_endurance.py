"""The programs of ``benchmarks/endurance``, for a minute in place of a day."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.program, pytest.mark.slow, pytest.mark.sound]

ENDURANCE = Path(__file__).parents[2] / "benchmarks" / "endurance"


def endurance(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, ENDURANCE, *arguments], stdout=subprocess.PIPE, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_daemon_under_faults_hears_what_one_without_them_hears() -> None:
    report = endurance("day", "--hours", "0.025", "--fault-every", "4")
    assert report["events"] == report["events_without_faults"] > 0
    assert (report["missing"], report["additional"], report["sequence_gaps"]) == (0, 0, [0, 0])
    assert len(report["faults"]) == 8
    assert report["wrong_answers"] == []
    assert report["exit_codes"] == [0, 0]


def test_every_word_is_heard_once_through_a_sound_server_that_dies() -> None:
    report = endurance("live", "--hours", "0.01", "--fault-every", "4", "--only", "kill")
    assert report["faults"]["kill"] == report["reconnects"] >= 1
    assert report["words"] >= 3
    assert report["events"] - report["events_of_cut_words"] == report["words"]
    assert (report["missing"], report["duplicated"], report["unexpected"]) == (0, 0, 0)
    assert report["exit_code"] == 0
