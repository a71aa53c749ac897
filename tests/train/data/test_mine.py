"""Mining of hard negatives. The recordings are keywords of the shipped model, so there is something to find."""

import csv
from pathlib import Path

import numpy as np
import pytest

from kwsd import load_model
from kwsd.errors import OutputError
from kwsd.models.bundle import SILENCE_LABEL, UNKNOWN_LABEL
from kwsd_train.data.augment import Augmenter
from kwsd_train.data.dataset import load_clips, load_recordings
from kwsd_train.data.layout import audio_files
from kwsd_train.data.mine import MinedWindow, mine_windows, write_mined_windows
from kwsd_train.data.mixture import ExampleGenerator, ExampleKind
from kwsd_train.data.split import SPLITS
from kwsd_train.recipe import Mixture, Recipe

MODEL = load_model()
THRESHOLD = 0.2


@pytest.fixture(scope="module")
def found(clips: Path) -> list[MinedWindow]:
    return list(mine_windows(MODEL, audio_files(clips / "yes"), THRESHOLD, print))


def test_a_mined_window_is_the_window_that_the_model_scored(found: list[MinedWindow]) -> None:
    assert found
    for window in found:
        assert window.score >= THRESHOLD
        again = MODEL.predict(window.samples[np.newaxis])[0]
        assert again[MODEL.labels.index(window.label)] == pytest.approx(window.score, abs=1e-4)


def test_windows_of_one_recording_do_not_overlap(found: list[MinedWindow]) -> None:
    for source in {window.source for window in found}:
        times = sorted(window.time_s for window in found if window.source == source)
        assert all(np.diff(times) > 0.9)


def test_windows_are_written_by_speaker_with_a_table(found: list[MinedWindow], tmp_path: Path) -> None:
    folder = tmp_path / "mined"
    assert write_mined_windows(iter(found), folder) == len(found)
    with (folder / "mined.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [window.label for window in found]
    assert [Path(row["source"]) for row in rows] == [window.source for window in found]
    assert sorted(folder / row["file"] for row in rows) == audio_files(folder)
    assert {len(samples) for samples in load_recordings(folder, SPLITS)} == {16_000}


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already: choose a new folder with --out"):
        write_mined_windows(iter([]), tmp_path)


def test_a_recording_that_cannot_be_used_is_named_and_the_others_are_mined(
    tmp_path: Path, clips: Path, found: list[MinedWindow]
) -> None:
    (tmp_path / "broken.flac").write_bytes(b"fLaC")
    messages: list[str] = []
    paths = [tmp_path / "broken.flac", *audio_files(clips / "yes")]
    assert len(list(mine_windows(MODEL, paths, THRESHOLD, messages.append))) == len(found)
    assert len(messages) == 1
    assert "broken.flac" in messages[0]


def test_mined_windows_are_unknown_words_in_an_epoch(data: Path, streaming: Recipe) -> None:
    assert streaming.augmentation
    noise = [np.ones(16_000, np.int16)]
    mixture = Mixture(per_keyword=1, per_unknown_word=0, speech_crops=0, half_words=0, silences=0, mined=5)
    labels = [SILENCE_LABEL, UNKNOWN_LABEL, "no", "yes"]
    augmenter = Augmenter(streaming.augmentation, noise, noise, audio_files(data / "rir"))
    plan = ExampleGenerator(load_clips(data), labels, mixture, augmenter, noise).plan_epoch(np.random.default_rng(0))
    assert (plan.kinds == ExampleKind.MINED).sum() == 5
    assert set(plan.labels[plan.kinds == ExampleKind.MINED].tolist()) == {labels.index(UNKNOWN_LABEL)}
