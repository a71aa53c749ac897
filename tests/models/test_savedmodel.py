"""SavedModel folders, exported as TensorFlow's tutorial does it, with a network that has learnt nothing."""

import subprocess
import sys
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
