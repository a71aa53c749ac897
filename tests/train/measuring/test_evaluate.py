"""Figures on clips: counts, intervals, and the figures of the shipped models."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from kwsd import load_model
from kwsd.errors import UsageError
from kwsd.models.bundle import read_bundle
from kwsd_train.measuring.card import CLIPS, add_figures_to_bundle
from kwsd_train.measuring.evaluate import (
    ClipReport,
    evaluate_on_clips,
    format_clip_report,
    make_clip_report,
    wilson_proportion,
)

LABELS = ["_silence_", "_unknown_", "no", "yes"]
MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def figures(clips: Path) -> ClipReport:
    return evaluate_on_clips(load_model(MODELS / "default"), clips, "validation")[0]


def test_the_interval_is_wilson_s() -> None:
    # The expected values are from Newcombe, Statistics in Medicine 17 (1998), p. 857, table I, method 3.
    share = wilson_proportion(81, 263)
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)
    assert (round(wilson_proportion(0, 20).low, 4), round(wilson_proportion(0, 20).high, 4)) == (0.0, 0.1611)


def test_scores_are_counted_by_the_word_that_was_spoken() -> None:
    words = np.array(["yes", "yes", "no", "cat", "cat", "_silence_"])
    scores = np.array(
        [
            [0, 0.1, 0.2, 0.7],  # right
            [0, 0.8, 0.05, 0.15],  # taken for no word, but right among the keywords
            [0, 0, 0.4, 0.6],  # taken for the other keyword
            [0, 0.9, 0.1, 0],  # rejected
            [0, 0.3, 0.7, 0],  # not rejected
            [0.9, 0, 0, 0.1],
        ],
        np.float32,
    )
    found = make_clip_report(words, scores, LABELS, "all")
    assert (found.accuracy.count, found.accuracy.of) == (2, 3)
    assert found.full
    assert (found.full.count, found.full.of) == (3, 6)
    assert {word: (share.count, share.of) for word, share in found.per_word.items()} == {"no": (0, 1), "yes": (2, 2)}
    assert {word: share.count for word, share in found.rejected.items()} == {"_silence_": 1, "cat": 1}
    assert found.confusion == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 0, 1]]


def test_a_model_without_unknown_is_measured_on_its_keywords_alone(clips: Path) -> None:
    found, measured = evaluate_on_clips(load_model(MODELS / "tutorial"), clips, "validation")
    assert found.full is None
    assert found.accuracy.of == len(measured.paths) == 32
    assert found.labels == ["down", "go", "left", "no", "right", "stop", "up", "yes"]


def test_a_model_with_unknown_is_measured_on_every_folder(figures: ClipReport) -> None:
    assert figures.accuracy.of == 32
    assert figures.full
    assert figures.full.of == 52 + 1  # and digital silence
    assert set(figures.rejected) == {"_silence_", "bed", "cat", "eight", "happy", "house"}


def test_a_split_without_clips_is_refused(clips: Path) -> None:
    model = load_model(MODELS / "default")
    with pytest.raises(UsageError, match="no usable clip"):
        evaluate_on_clips(model, clips, "testing")
    with pytest.raises(UsageError, match="there is no split 'test'"):
        evaluate_on_clips(model, clips, "test")


def test_the_text_has_the_figures_of_the_report(figures: ClipReport) -> None:
    lines = format_clip_report(figures).splitlines()
    assert lines[0].startswith("validation, keywords alone:")
    assert lines[0].endswith(f"{figures.accuracy.count} of 32")
    assert msgspec.json.decode(msgspec.json.encode(figures), type=ClipReport) == figures


def test_added_figures_are_in_the_bundle_and_its_card(figures: ClipReport, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in (MODELS / "default").iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    add_figures_to_bundle(bundle, CLIPS, figures)
    read = read_bundle(bundle)
    assert msgspec.convert(read.metrics["clips"], ClipReport) == figures
    assert f"{figures.accuracy.count} of 32" in (bundle / "MODEL_CARD.md").read_text()
    assert read.files["MODEL_CARD.md"].size == (bundle / "MODEL_CARD.md").stat().st_size
