"""Export: a bundle computes the same as the trained network, in LiteRT and as a SavedModel."""

import json
import shutil
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kwsd import load_model
from kwsd.errors import ModelError, OutputError, UsageError
from kwsd.frontend import Float32
from kwsd.models.bundle import read_bundle
from kwsd_train.data.dataset import load_clips
from kwsd_train.data.features import as_float, compute_spectrograms
from kwsd_train.recipe import Recipe, Resnet
from kwsd_train.training.export import export_bundle, training_examples
from kwsd_train.training.fit import start_run
from kwsd_train.training.run_folder import SETTINGS_FILE, load_network, read_run_settings

pytestmark = [
    # Keras 3.15 saves models with a numpy interface that is deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    # audiomentations imports audioread, which imports modules that Python 3.13 removes.
    pytest.mark.filterwarnings("ignore:.* slated for removal in Python 3.13:DeprecationWarning"),
]

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def windows(clips: Path) -> Float32:
    return as_float(load_clips(clips).samples)


@pytest.fixture(scope="module", params=["tutorial", "streaming"])
def run(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of either kind of network."""
    folder = tmp_path_factory.mktemp("runs") / str(request.param)
    start_run(request.getfixturevalue(request.param), data, folder, print)
    return folder


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / run.name
    export_bundle(run, folder, "float32", saved_model=True)
    return folder


def logits_of(bundle: Path, windows: Float32) -> Float32:
    logits: Float32 = tf.saved_model.load(str(bundle / "saved_model"))(tf.constant(windows))["predictions"].numpy()
    return logits


def test_a_bundle_records_labels_and_data(run: Path, bundle: Path) -> None:
    read, settings = read_bundle(bundle), read_run_settings(run)
    assert read.labels == settings.labels
    assert read.training["listing_sha256"] == settings.listing_sha256
    assert read.training["data"] == Path(settings.data).name


def test_litert_gives_the_scores_of_the_keras_network(run: Path, bundle: Path, windows: Float32) -> None:
    logits = load_network(run).predict(compute_spectrograms(windows), verbose=0)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    np.testing.assert_allclose(load_model(bundle).predict(windows), expected, rtol=0, atol=1e-5)


def test_float16_weights_give_nearly_the_same_scores(run: Path, bundle: Path, windows: Float32, tmp_path: Path) -> None:
    smaller = export_bundle(run, tmp_path / "float16", "float16")
    assert smaller.files["model.tflite"].size < 0.7 * read_bundle(bundle).files["model.tflite"].size
    scores = load_model(tmp_path / "float16").predict(windows)
    np.testing.assert_allclose(scores, load_model(bundle).predict(windows), rtol=0, atol=1e-3)


@pytest.mark.parametrize("run", ["streaming"], indirect=True)
def test_int8_computes_the_convolutions_and_leaves_the_log_mel_layer_alone(
    run: Path, windows: Float32, tmp_path: Path
) -> None:
    export_bundle(run, tmp_path / "float32", "float32")
    export_bundle(run, tmp_path / "int8", "int8")
    scores = load_model(tmp_path / "int8").predict(windows)
    np.testing.assert_allclose(scores, load_model(tmp_path / "float32").predict(windows), rtol=0, atol=0.1)
    interpreter = Interpreter(str(tmp_path / "int8" / "model.tflite"))
    tensors = [(details["name"], details["dtype"]) for details in interpreter.get_tensor_details()]
    assert {kind for name, kind in tensors if "log_mel" in name} == {np.float32}
    assert np.int8 in {kind for name, kind in tensors if "conv1d" in name}


def test_int8_leaves_a_convolution_of_one_channel_alone(streaming: Recipe, data: Path, tmp_path: Path) -> None:
    optimizer = msgspec.structs.replace(streaming.optimizer, warmup_epochs=0)
    recipe = msgspec.structs.replace(streaming, epochs=1, optimizer=optimizer, network=Resnet([8, 12, 16], 0.1))
    start_run(recipe, data, tmp_path / "run", print)
    export_bundle(tmp_path / "run", tmp_path / "int8", "int8")
    details = Interpreter(str(tmp_path / "int8" / "model.tflite")).get_tensor_details()
    given = {tuple(tensor["shape"]): tensor["dtype"] for tensor in details if "Relu" in tensor["name"]}
    assert given[1, 62, 20, 8] is np.float32
    assert given[1, 31, 10, 12] is np.int8


def test_int8_needs_the_data_of_the_run(run: Path, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(read_run_settings(run), data=str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="there is no data folder"):
        training_examples(settings, 8)


def test_the_savedmodel_and_litert_give_the_same_scores(bundle: Path, windows: Float32) -> None:
    saved = load_model(bundle / "saved_model")
    np.testing.assert_allclose(load_model(bundle).predict(windows), saved.predict(windows), rtol=0, atol=1e-4)
    assert saved.labels == load_model(bundle).labels


def test_a_reloaded_savedmodel_gives_identical_output(bundle: Path, windows: Float32) -> None:
    np.testing.assert_array_equal(logits_of(bundle, windows), logits_of(bundle, windows))


def test_both_signatures_of_the_tutorial_agree(bundle: Path, clips: Path, tmp_path: Path) -> None:
    clip = load_clips(clips, words=["no"])
    path = tmp_path / "no.wav"
    path.write_bytes(tf.audio.encode_wav(as_float(clip.samples[0])[:, None], 16_000).numpy())
    module = tf.saved_model.load(str(bundle / "saved_model"))
    from_file, from_samples = module(tf.constant(str(path))), module(as_float(clip.samples[:1]))
    assert set(from_file) == {"predictions", "class_ids", "class_names"}
    np.testing.assert_allclose(from_file["predictions"], from_samples["predictions"], atol=1e-4)
    labels = load_model(bundle).labels
    assert from_file["class_names"].numpy().tolist() == [labels[int(from_file["class_ids"][0])].encode()]


def test_an_older_bundle_is_replaced_and_anything_else_is_left_alone(run: Path, tmp_path: Path) -> None:
    export_bundle(run, tmp_path / "old")
    export_bundle(run, tmp_path / "old")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("not yours")
    with pytest.raises(OutputError, match="exists and is not a bundle"):
        export_bundle(run, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "not yours"


@pytest.fixture
def used(bundle: Path, tmp_path: Path) -> Path:
    """A bundle with a SavedModel, in whose folder the user has files."""
    folder = Path(shutil.copytree(bundle, tmp_path / "used"))
    (folder / "notes.txt").write_text("mine")
    (folder / "saved_model" / "notes.txt").write_text("mine too")
    return folder


def test_the_user_s_files_beside_an_older_bundle_stay(finished: Path, used: Path) -> None:
    export_bundle(finished, used)
    left = {path.relative_to(used).as_posix() for path in used.rglob("*") if path.is_file()}
    assert left == {"bundle.json", "model.tflite", "MODEL_CARD.md", "notes.txt", "saved_model/notes.txt"}


def test_an_export_never_replaces_a_file_of_the_user(finished: Path, tmp_path: Path) -> None:
    export_bundle(finished, tmp_path / "bundle")
    (tmp_path / "bundle" / "saved_model").mkdir()
    (tmp_path / "bundle" / "saved_model" / "saved_model.pb").write_text("mine")
    before = read_bundle(tmp_path / "bundle")
    with pytest.raises(OutputError, match=r"saved_model\.pb exists and does not belong to the old bundle"):
        export_bundle(finished, tmp_path / "bundle", saved_model=True)
    assert (tmp_path / "bundle" / "saved_model" / "saved_model.pb").read_text() == "mine"
    assert read_bundle(tmp_path / "bundle") == before


def test_an_older_bundle_stays_if_the_new_one_is_invalid(finished: Path, used: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    settings = json.loads((run / SETTINGS_FILE).read_bytes())
    settings["recipe"]["detector"]["threshold"] = 2
    (run / SETTINGS_FILE).write_text(json.dumps(settings))
    before = read_bundle(used), sorted(used.rglob("*"))
    with pytest.raises(ModelError, match="Expected `float` <= 1"):
        export_bundle(run, used)
    assert (read_bundle(used), sorted(used.rglob("*"))) == before


def test_a_file_outside_the_bundle_is_never_deleted(finished: Path, used: Path) -> None:
    (used.parent / "thesis.txt").write_text("mine")
    (used / "link").symlink_to(used.parent)
    manifest = json.loads((used / "bundle.json").read_bytes())
    for path in ("../thesis.txt", str(used.parent / "thesis.txt"), "link/thesis.txt"):
        manifest["files"][path] = {"size": 4, "sha256": ""}
    (used / "bundle.json").write_text(json.dumps(manifest))
    export_bundle(finished, used)
    assert (used.parent / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["file", "file/bundle", "damaged"])
def test_a_target_that_cannot_be_a_bundle_is_refused(name: str, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "bundle.json").write_text("{")
    sentence = {"damaged": "is damaged"}.get(name, f"cannot write .*{name}: (Not a directory|File exists)")
    with pytest.raises(OutputError, match=sentence):
        export_bundle(finished, tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_the_shipped_tutorial_is_one_network_in_two_forms(windows: Float32) -> None:
    shipped = MODELS / "tutorial"
    saved = load_model(shipped / "saved_model").predict(windows)
    np.testing.assert_allclose(load_model(shipped).predict(windows), saved, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "least"), [("tutorial", 0.7), ("default", 0.85)])
def test_the_shipped_models_know_the_fixtures(name: str, least: float, clips: Path) -> None:
    model = load_model(MODELS / name)
    spoken = load_clips(clips, words=model.keywords)
    keywords = [model.labels.index(word) for word in model.keywords]
    best = model.predict(as_float(spoken.samples))[:, keywords].argmax(1)
    assert (np.array(model.keywords)[best] == spoken.words).mean() >= least


def test_the_shipped_default_is_under_a_megabyte_and_small_in_files() -> None:
    bundle = read_bundle(MODELS / "default")
    assert bundle.files["model.tflite"].size < 1_000_000
    assert bundle.labels == ["_silence_", "_unknown_", "down", "go", "left", "no", "right", "stop", "up", "yes"]
