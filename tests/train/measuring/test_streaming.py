"""Figures of a model in streams."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kwsd import load_model
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.errors import AudioDataError, UsageError
from kwsd_train.measuring.streaming import (
    EvaluationData,
    format_stream_report,
    garwood_rate,
    make_stream_report,
    score_evaluation_data,
)

MODEL = load_model()


@pytest.mark.parametrize(
    ("count", "low", "high"),
    # The expected values are from Garwood 1936, table 1, as reprinted in Ulm, Am. J. Epidemiol. 131 (1990), p. 373.
    [
        (0, 0.0, 3.689),
        (1, 0.0253, 5.572),
        (2, 0.2422, 7.225),
        (5, 1.623, 11.668),
        (10, 4.795, 18.390),
        (20, 12.217, 30.888),
    ],
)
def test_the_interval_of_a_rate_is_the_published_one(count: int, low: float, high: float) -> None:
    rate = garwood_rate(count, 2.0)
    assert rate.per_hour == count / 2
    assert rate.low == pytest.approx(low / 2, abs=5e-4)
    assert rate.high == pytest.approx(high / 2, abs=5e-4)


def test_without_hours_the_interval_of_a_rate_is_unbounded() -> None:
    assert garwood_rate(0, 0).high == float("inf")


def test_figures_of_a_marked_recording_add_up(clips: Path) -> None:
    sources = EvaluationData(None, positives=DEMO_FOLDER, negatives=clips / "house")
    found = make_stream_report(MODEL, sources, score_evaluation_data(MODEL, sources))
    figures = found.streams["demo"]
    assert figures.missed.of == sum(share.of for share in figures.missed_by_word.values())
    assert figures.missed.count == sum(share.count for share in figures.missed_by_word.values())
    assert set(figures.missed_by_word) <= set(MODEL.keywords)
    assert found.negatives["own"].all.hours == pytest.approx(4 / 3600, rel=0.1)
    assert list(found.negatives["own"].by_word) == list(MODEL.keywords)


def test_word_folders_of_the_user_become_one_clean_stream(clips: Path) -> None:
    trials = score_evaluation_data(
        MODEL, EvaluationData(None, positives=clips, negatives=clips / "house", per_keyword=1)
    )
    assert [trial.name for trial in trials.streams] == ["clean"]
    assert sorted(spoken.word for spoken in trials.streams[0].spoken) == sorted(MODEL.keywords)


def test_the_table_names_every_stream_word_and_kind(clips: Path) -> None:
    sources = EvaluationData(None, positives=DEMO_FOLDER, negatives=clips / "house")
    found = make_stream_report(MODEL, sources, score_evaluation_data(MODEL, sources))
    shown = format_stream_report(found)
    for name in ("demo", "own", "down", "yes", "latency median", "false alarms"):
        assert name in shown


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (EvaluationData(None, negatives=DEMO_FOLDER), "give --data, or --positives"),
        (EvaluationData(None, positives=DEMO_FOLDER), "give --data, or --negatives"),
    ],
)
def test_missing_recordings_are_asked_for(sources: EvaluationData, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score_evaluation_data(MODEL, sources)


def test_marks_that_name_no_keyword_are_refused(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "own.flac").write_bytes((DEMO_FOLDER / "demo.flac").read_bytes())
    (tmp_path / "own.csv").write_text("word,start_s,end_s\nbanana,1,2\n")
    with pytest.raises(UsageError, match="contain no keyword of model default"):
        score_evaluation_data(MODEL, EvaluationData(None, positives=tmp_path, negatives=clips / "house"))


def test_a_recording_of_the_user_at_another_rate_is_converted_and_a_truncated_one_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "evening.wav", np.zeros(44_100, np.float32), 44_100)
    data = EvaluationData(None, positives=DEMO_FOLDER, negatives=tmp_path)
    assert [len(row) for row in data.recordings()["own"]] == [16_000]
    os.truncate(tmp_path / "evening.wav", 44_100)
    with pytest.raises(AudioDataError, match=r"evening\.wav is truncated: only its first 0\.50 s could be used"):
        data.recordings()


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no split 'test'"):
        EvaluationData(DEMO_FOLDER, split="test")
