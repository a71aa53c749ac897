"""SavedModel folders, exported as TensorFlow's tutorial does it, with a network that has learnt nothing."""

import os
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from kwsd import Spotter, load_model
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.errors import ModelError

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
import tensorflow as tf

WORDS = np.array(["down", "go", "left", "no", "right", "stop", "up", "yes"])
SPEECH, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32", start=16_000, frames=64_000)


def spectrograms(waveforms: Any) -> Any:  # noqa: ANN401  TensorFlow has no types
    return tf.abs(tf.signal.stft(waveforms, frame_length=255, frame_step=128))[..., tf.newaxis]


def network() -> Any:  # noqa: ANN401
    tf.keras.utils.set_random_seed(0)
    return tf.keras.Sequential(
        [
            tf.keras.Input((124, 129, 1)),
            tf.keras.layers.Resizing(8, 8),
            tf.keras.layers.Normalization(mean=0.5, variance=1),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(len(WORDS)),
        ]
    )


class Export(tf.Module):
    """The tutorial's two signatures: a WAV file's path, and a batch of waveforms.

    Parameters
    ----------
    words : array or tensor of str, optional
        What class names are gathered from; none are returned without it.
    """

    def __init__(self, words: Any = None) -> None:  # noqa: ANN401
        super().__init__()
        self.network = network()
        self._words = words
        self.__call__.get_concrete_function(x=tf.TensorSpec((), tf.string))
        self.__call__.get_concrete_function(x=tf.TensorSpec((None, 16_000), tf.float32))

    @tf.function
    def __call__(self, x: Any) -> dict[str, Any]:  # noqa: ANN401
        if x.dtype == tf.string:
            decoded, _ = tf.audio.decode_wav(tf.io.read_file(x), desired_channels=1, desired_samples=16_000)
            x = tf.squeeze(decoded, axis=-1)[tf.newaxis]
        logits = self.network(spectrograms(x), training=False)
        class_ids = tf.argmax(logits, axis=-1)
        outputs = {"predictions": logits, "class_ids": class_ids}
        return outputs if self._words is None else outputs | {"class_names": tf.gather(self._words, class_ids)}


class Averages(tf.Module):
    """A module that is no classifier of waveforms."""

    @tf.function(input_signature=[tf.TensorSpec((None, 10), tf.float32)])
    def __call__(self, x: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"predictions": tf.reduce_mean(x, axis=-1, keepdims=True)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders by the way that the module knows its words."""
    folder = tmp_path_factory.mktemp("models")
    modules = {"array": Export(WORDS), "constant": Export(tf.constant(WORDS)), "none": Export(), "other": Averages()}
    for name, module in modules.items():
        tf.saved_model.save(module, str(folder / name))
    return folder


@pytest.mark.parametrize("kind", ["array", "constant"])
def test_a_folder_exported_as_in_the_tutorial_runs_unchanged(saved: Path, kind: str) -> None:
    model = load_model(saved / kind)
    assert model.labels == model.keywords == tuple(WORDS)
    assert model.name == kind
    waveforms = SPEECH.reshape(4, 16_000)
    own = tf.saved_model.load(str(saved / kind))(tf.constant(waveforms))
    scores = model.predict(waveforms)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, tf.nn.softmax(own["predictions"]), atol=1e-6)
    assert [model.labels[best].encode() for best in scores.argmax(axis=1)] == own["class_names"].numpy().tolist()


def test_it_hears_a_stream_as_a_bundle_does(saved: Path) -> None:
    model = load_model(saved / "array").with_thresholds(dict.fromkeys(WORDS.tolist(), 0.01))
    detections = Spotter(model).feed(SPEECH)
    assert detections
    assert {detection.keyword for detection in detections} <= set(WORDS.tolist())


def test_a_folder_that_does_not_hold_its_labels_asks_for_them_and_takes_them(saved: Path) -> None:
    with pytest.raises(ModelError, match="does not contain its labels: name its 8 outputs in order with --labels"):
        load_model(saved / "none")
    model = load_model(saved / "none", [*WORDS[:7], "_unknown_"])
    assert model.labels == (*WORDS[:7], "_unknown_")
    assert model.keywords == tuple(WORDS[:7])


@pytest.mark.parametrize("kind", ["array", "none"])
def test_a_wrong_number_of_labels_is_refused(saved: Path, kind: str) -> None:
    with pytest.raises(ModelError, match="has 8 outputs, but 2 labels were given"):
        load_model(saved / kind, ["no", "yes"])


def test_a_folder_with_another_input_is_refused(saved: Path) -> None:
    with pytest.raises(ModelError, match=r"has no function from waveforms, float32 \(n, 16000\), to 'predictions'"):
        load_model(saved / "other")


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"no graph at all")
    with pytest.raises(ModelError, match="is not a SavedModel that TensorFlow can load") as refused:
        load_model(tmp_path)
    assert "\n" not in str(refused.value)


def test_where_tensorflow_is_missing_a_sentence_says_what_to_install(saved: Path) -> None:
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    program = "import sys; sys.modules['tensorflow'] = None; import kwsd; kwsd.load_model(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, saved / "array"], cwd=saved, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        "kwsd.errors.ModelError: a SavedModel needs TensorFlow: install it, in a clone of kwsd, with "
        " pipx install --force '.[tensorflow]'"
    )


# Models as other people have them


def logits_of_spectrograms(*more_layers: Any) -> Any:  # noqa: ANN401
    return tf.keras.Sequential([*network().layers, *more_layers])


def export(model: Any, folder: Path, shape: tuple[int | None, ...]) -> Path:  # noqa: ANN401
    """Export a model of Keras by its own method, and return the folder."""
    model.export(str(folder), verbose=False, input_signature=[tf.TensorSpec(shape, tf.float32)])
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and files that Keras wrote: logits, probabilities and sigmoids of spectrograms."""
    folder = tmp_path_factory.mktemp("keras")
    layers = tf.keras.layers
    for name, more in {"logits": [], "softmax": [layers.Softmax()], "sigmoid": [layers.Activation("sigmoid")]}.items():
        model = logits_of_spectrograms(*more)
        model.build((None, 124, 129, 1))
        export(model, folder / name, (None, 124, 129, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras uses h5py in ways that numpy 2 deprecates
            model.save(folder / f"{name}.keras")
            model.save(folder / f"{name}.h5")
    return folder


def test_an_export_of_keras_is_used_whatever_its_output_is_called(exported: Path) -> None:
    model = load_model(exported / "logits", WORDS.tolist())
    waveforms = SPEECH.reshape(4, 16_000)
    module = tf.saved_model.load(str(exported / "logits"))
    own = module.serve(spectrograms(tf.constant(waveforms)))
    np.testing.assert_allclose(model.predict(waveforms), tf.nn.softmax(own), atol=1e-5)


def test_probabilities_are_not_put_through_a_second_softmax(exported: Path) -> None:
    probabilities = load_model(exported / "softmax", WORDS.tolist()).predict(SPEECH.reshape(4, 16_000))
    logits = load_model(exported / "logits", WORDS.tolist()).predict(SPEECH.reshape(4, 16_000))
    np.testing.assert_allclose(probabilities, logits, atol=1e-5)


def test_sigmoids_are_refused_with_what_to_do(exported: Path) -> None:
    with pytest.raises(ModelError, match=r"ends in a sigmoid for each label.*: end it with a softmax"):
        load_model(exported / "sigmoid", WORDS.tolist())


def test_the_graph_file_stands_for_its_folder_and_so_does_a_folder_of_versions(exported: Path, tmp_path: Path) -> None:
    for version in ("1", "9", "10"):
        shutil.copytree(exported / "logits", tmp_path / "words" / version)
    (tmp_path / "words" / "9" / "saved_model.pb").write_bytes(b"an older version")
    found = [load_model(path, WORDS.tolist()) for path in (exported / "logits" / "saved_model.pb", tmp_path / "words")]
    assert [model.name for model in found] == ["logits", "words"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_of_keras_is_refused_with_the_command_that_makes_it_usable(
    exported: Path, tmp_path: Path, suffix: str
) -> None:
    path = Path(shutil.copy(exported / f"logits{suffix}", tmp_path / f"my 'own' words{suffix}"))
    with pytest.raises(ModelError, match=r"is a file of Keras: .* use --model .*my 'own' words") as refused:
        load_model(path)
    command = str(refused.value).split("  ")[1].replace("python3", sys.executable, 1)
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert load_model(path.with_suffix(""), WORDS.tolist()).keywords == tuple(WORDS)


def freeze(function: Any, path: Path) -> Path:  # noqa: ANN401
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415
        convert_variables_to_constants_v2,
    )

    path.write_bytes(convert_variables_to_constants_v2(function).graph.as_graph_def().SerializeToString())
    return path


def test_a_frozen_graph_is_used(saved: Path, tmp_path: Path) -> None:
    model = network()
    function = tf.function(lambda waveforms: model(spectrograms(waveforms)))
    frozen = freeze(function.get_concrete_function(tf.TensorSpec((None, 16_000), tf.float32)), tmp_path / "words.pb")
    found = load_model(frozen, WORDS.tolist())
    assert found.name == "words"
    waveforms = SPEECH.reshape(4, 16_000)
    np.testing.assert_allclose(found.predict(waveforms), load_model(saved / "array").predict(waveforms), atol=1e-5)


def test_a_frozen_graph_that_decodes_a_wav_file_is_used(saved: Path, tmp_path: Path) -> None:
    model = network()

    def decode(content: Any) -> Any:  # noqa: ANN401
        samples, _ = tf.audio.decode_wav(content, desired_channels=1, desired_samples=16_000)
        return model(spectrograms(tf.reshape(samples, (1, 16_000))))

    frozen = freeze(tf.function(decode).get_concrete_function(tf.TensorSpec((), tf.string)), tmp_path / "words.pb")
    waveforms = SPEECH.reshape(4, 16_000)
    scores = load_model(frozen, WORDS.tolist()).predict(waveforms)
    np.testing.assert_allclose(scores, load_model(saved / "array").predict(waveforms), atol=1e-5)


def test_a_file_that_is_no_frozen_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.pb").write_bytes(b"\nno graph at all")
    with pytest.raises(ModelError, match="is not a frozen graph that TensorFlow can load"):
        load_model(tmp_path / "words.pb")


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((None, 32_000), r"float32 \(n, 32000\), 2 s at 16000 Hz"),
        ((None, 49, 40, 1), r"float32 \(n, 49, 40, 1\), another spectrogram"),
    ],
)
def test_a_folder_for_other_windows_is_refused_with_what_was_found(
    tmp_path: Path, shape: tuple[int | None, ...], sentence: str
) -> None:
    layers = tf.keras.layers
    model = tf.keras.Sequential([tf.keras.Input(shape[1:]), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ModelError, match=sentence):
        load_model(export(model, tmp_path / "words", shape), ["no", "yes"])


def test_a_label_in_the_graph_is_checked_like_others(tmp_path: Path) -> None:
    words = WORDS.astype("U20")
    words[3] = "_background_noise_"
    tf.saved_model.save(Export(words), str(tmp_path))
    with pytest.raises(ModelError, match="the label '_background_noise_' is a folder of noise"):
        load_model(tmp_path)


def test_a_folder_with_a_fifo_is_refused_and_not_waited_for(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported / "logits", tmp_path / "words"))
    (folder / "saved_model.pb").unlink()
    os.mkfifo(folder / "saved_model.pb")
    with pytest.raises(ModelError, match="it is a FIFO, not a file"):
        load_model(folder)


def test_a_scan_with_a_saved_model_writes_nothing_of_tensorflow(saved: Path) -> None:
    command = [sys.executable, "-m", "kwsd", "scan", "--model", str(saved / "array"), str(DEMO_FOLDER / "demo.flac")]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
