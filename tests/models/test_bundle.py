"""What a bundle must be before it is used; each refusal is a sentence that says what differs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kwsd import load_model
from kwsd.errors import ModelError
from kwsd.models.bundle import MANIFEST, describe_file, read_bundle
from kwsd.models.find import find_model, installed_models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_model("default"), tmp_path / "copy"))


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    edit(manifest)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def test_the_shipped_model_has_eight_keywords_unknown_and_silence() -> None:
    model = load_model()
    assert sorted(model.keywords) == ["down", "go", "left", "no", "right", "stop", "up", "yes"]
    assert set(model.labels) - set(model.keywords) == {"_silence_", "_unknown_"}


def test_every_shipped_bundle_is_whole_and_described() -> None:
    for folder in installed_models().values():
        bundle = read_bundle(folder)
        assert bundle.licence
        assert bundle.attribution
        assert {"MODEL_CARD.md", "model.tflite"} <= set(bundle.files)
        assert {*bundle.files, MANIFEST} == {
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
        }


def test_predictions_are_probabilities() -> None:
    waveforms = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)).astype(np.float32)
    scores = load_model().predict(waveforms)
    assert scores.shape == (3, 10)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-3)


def test_silence_of_zeros_has_the_scores_of_the_network_for_the_faintest_sound() -> None:
    model = load_model()
    zeros, faint = np.zeros((1, 16_000), np.float32), np.full((1, 16_000), 1e-12, np.float32)
    np.testing.assert_array_equal(model.predict(zeros), model.predict(faint))


@pytest.mark.parametrize("shape", [(16_000,), (2, 15_999), (1, 16_000, 1)])
def test_waveforms_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        load_model().predict(np.zeros(shape, np.float32))


def test_an_altered_network_is_refused(folder: Path) -> None:
    with (folder / "model.tflite").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"model\.tflite is not the file that bundle\.json describes"):
        load_model(folder)


def test_a_missing_network_is_refused(folder: Path) -> None:
    (folder / "model.tflite").unlink()
    with pytest.raises(ModelError, match=r"cannot read .*model\.tflite: No such file"):
        load_model(folder)


def test_a_file_that_is_not_a_network_is_refused_although_its_hash_is_right(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"no network at all")
    found = msgspec.to_builtins(describe_file(folder / "model.tflite"))
    change(folder, lambda manifest: manifest["files"].update({"model.tflite": found}))
    with pytest.raises(ModelError, match="not a network that LiteRT can run"):
        load_model(folder)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda m: m["front_end"].update(frame_step=160), "another front end: frame_step is 160, kwsd's is 128"),
        (lambda m: m.update(schema_version=2), "schema 2, this kwsd reads schema 1"),
        (lambda m: m.update(hop_samples=1000), "hop_samples is 1000, not a multiple of 128"),
        (lambda m: m.update(surprise=1), "unknown field `surprise`"),
        (lambda m: m["detector"].update(hits="two"), r"Expected `int`, got `str` - at `\$.detector.hits`"),
        (lambda m: m["detector"]["thresholds"].pop("go"), "thresholds are for"),
        (lambda m: m["labels"].append("go"), "a label occurs twice"),
        (lambda m: m["detector"].update(smoothing_windows=1000), "are an average over 80 s, not a word"),
        (lambda m: m.update(name="a\x1b[31m"), "the name in bundle.json is not a text of 1 to 100 characters"),
        (lambda m: m.update(name=""), "the name in bundle.json is not a text"),
        (
            lambda m: m["labels"].append("_other_") or m["detector"]["thresholds"].update(_other_=1),
            "kwsd needs float32",
        ),
        (lambda m: m["files"].update({"../secret": {"size": 1, "sha256": ""}}), "outside the bundle"),
        (lambda m: m["files"].clear(), r"does not list model\.tflite"),
    ],
)
def test_a_bundle_that_does_not_match_is_refused(
    folder: Path, edit: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    change(folder, edit)
    with pytest.raises(ModelError, match=sentence):
        load_model(folder)


def test_a_description_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ModelError, match="is not a valid bundle description"):
        load_model(folder)


def test_models_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model 'none': installed are default"):
        load_model("none")
    with pytest.raises(ModelError, match="there is no model folder"):
        load_model(tmp_path / "none")
    with pytest.raises(ModelError, match=r"contains neither bundle\.json nor saved_model\.pb"):
        load_model(tmp_path)


def test_a_bundle_takes_no_labels(folder: Path) -> None:
    with pytest.raises(ModelError, match="leave out --labels"):
        load_model(folder, ["go"])


def test_a_user_s_own_bundle_is_found_by_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    shutil.copytree(folder, tmp_path / "kwsd" / "models" / "mine")
    assert load_model("mine").labels == load_model("default").labels
