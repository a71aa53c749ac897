"""The network of the embedding, compared with the original, and the description of its folder."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kwsd.errors import ModelError
from kwsd.frontend import Float32
from kwsd.models import logmel
from kwsd.models.bundle import describe_file
from kwsd.models.embedding import (
    DESCRIPTION,
    STEP_FRAMES,
    EmbeddingNetwork,
    load_embedding_network,
    read_embedding_description,
)
from kwsd.models.find import find_model, installed_models, load_embedding

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "embedding.npz")
SHIPPED = find_model("default").parent / "embedding"
NETWORK = load_embedding()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "copy"))


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    description = msgspec.json.decode((folder / DESCRIPTION).read_bytes())
    edit(description)
    (folder / DESCRIPTION).write_bytes(msgspec.json.encode(description))


def run(network: EmbeddingNetwork, frames: Float32) -> Float32:
    state, vectors = network.silence, []
    for step in frames[: len(frames) // STEP_FRAMES * STEP_FRAMES].reshape(-1, STEP_FRAMES, 32):
        vector, state = network.step(step, state)
        vectors.append(vector)
    return np.array(vectors)


def test_vectors_point_in_the_direction_of_those_of_the_original() -> None:
    expected = GOLDEN["vectors"]
    found = run(NETWORK, GOLDEN["frames"])[-len(expected) :]
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(axis=1) / lengths).min() > 0.995


def test_streams_that_share_a_network_do_not_mix() -> None:
    frames = GOLDEN["frames"][:160]
    state, alone = NETWORK.silence, run(NETWORK, frames)
    for step, expected in zip(frames.reshape(-1, STEP_FRAMES, 32), alone, strict=True):
        vector, state = NETWORK.step(step, state)
        NETWORK.step(step[::-1].copy(), NETWORK.silence)
        np.testing.assert_array_equal(vector, expected)


def test_silence_leaves_the_state_of_silence_unchanged() -> None:
    silent = np.full((STEP_FRAMES, 32), logmel.SILENCE, np.float32)
    np.testing.assert_array_equal(NETWORK.step(silent, NETWORK.silence)[1], NETWORK.silence)


def test_the_folder_is_whole_and_says_whose_work_it_is() -> None:
    description = read_embedding_description(SHIPPED)
    assert {*description.files, DESCRIPTION} == {path.name for path in SHIPPED.iterdir()}
    for name, record in description.files.items():
        assert describe_file(SHIPPED / name) == record
    assert description.licence == "Apache-2.0"
    assert "Google" in description.attribution[0]
    assert description.largest_difference < 1e-4
    assert description.lowest_cosine > 0.99


def test_the_embedding_is_not_among_the_models_for_keywords() -> None:
    assert "embedding" not in installed_models()


def test_an_altered_network_is_refused(folder: Path) -> None:
    with (folder / "model.tflite").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"model\.tflite is not the file that embedding\.json describes"):
        load_embedding_network(folder)


def test_a_network_that_does_not_run_is_refused_although_its_hash_is_right(folder: Path) -> None:
    (folder / "model.tflite").write_bytes(b"no network at all")
    record = msgspec.to_builtins(describe_file(folder / "model.tflite"))
    change(folder, lambda description: description["files"].update({"model.tflite": record}))
    with pytest.raises(ModelError, match=r"model\.tflite is not a network that LiteRT can run"):
        load_embedding_network(folder)


def test_a_network_of_another_kind_is_refused(folder: Path) -> None:
    shutil.copy(find_model("default") / "model.tflite", folder / "model.tflite")
    record = msgspec.to_builtins(describe_file(folder / "model.tflite"))
    change(folder, lambda description: description["files"].update({"model.tflite": record}))
    with pytest.raises(ModelError, match=r"model\.tflite is not the network of an embedding"):
        load_embedding_network(folder)


@pytest.mark.parametrize("name", ["model.tflite", DESCRIPTION])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"cannot read .*{name}: No such file"):
        load_embedding_network(folder)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda d: d["front_end"].update(bands=40), "another front end: bands is 40, kwsd's is 32"),
        (lambda d: d.update(schema_version=2), "schema 2, this kwsd reads schema 1"),
        (lambda d: d.update(surprise=1), "unknown field `surprise`"),
        (lambda d: d["files"].clear(), r"embedding\.json does not list model\.tflite$"),
    ],
)
def test_a_description_that_does_not_match_is_refused(
    folder: Path, edit: Callable[[dict[str, Any]], object], sentence: str
) -> None:
    change(folder, edit)
    with pytest.raises(ModelError, match=sentence):
        load_embedding_network(folder)
