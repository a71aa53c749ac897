"""A trained network becomes a bundle that kwsd runs."""

import contextlib
import io
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import msgspec
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kwsd import frontend
from kwsd.errors import OutputError
from kwsd.frontend import Float32
from kwsd.models import bundle
from kwsd.models.bundle import Bundle, FrontEnd
from kwsd_train.measuring import card
from kwsd_train.training.fit import training_examples
from kwsd_train.training.run import load_network, read_settings

HOP_SAMPLES = 1280  # 80 ms: the detector's median delay is a hop or two
LICENCE = "Apache-2.0"
Weights = Literal["float32", "float16", "int8"]
KEPT_FLOAT = ["SQUARE", "FULLY_CONNECTED", "LOG", "MUL", "SOFTMAX"]
"""Operations that int8 would ruin: the log-mel layer, whose powers span ten decades, and the few of the classifier."""
CALIBRATION = 1024
"""Training examples from which the ranges of the int8 layers are taken."""


class TutorialModule(tf.Module):  # type: ignore[misc]
    """The tutorial's export: audio in, logits, classes and their names out.

    Parameters
    ----------
    network : keras.Model
        Spectrograms to logits.
    labels : list of str
    """

    def __init__(self, network: keras.Model, labels: list[str]) -> None:
        super().__init__()
        self.network = network
        self.labels = tf.constant(labels)
        self.__call__.get_concrete_function(x=tf.TensorSpec((), tf.string))
        self.__call__.get_concrete_function(x=tf.TensorSpec((None, frontend.WINDOW_SAMPLES), tf.float32))

    @tf.function  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> dict[str, Any]:
        """Recognise a WAV file by its path (scalar string), or waveforms (n, 16000), float32."""
        if x.dtype == tf.string:
            audio, _ = tf.audio.decode_wav(tf.io.read_file(x), 1, frontend.WINDOW_SAMPLES)
            x = tf.squeeze(audio, axis=-1)[tf.newaxis]
        spectrograms = tf.abs(tf.signal.stft(x, frame_length=frontend.FRAME_LENGTH, frame_step=frontend.FRAME_STEP))
        logits = self.network(spectrograms, training=False)
        class_ids = tf.argmax(logits, axis=-1)
        return {"predictions": logits, "class_ids": class_ids, "class_names": tf.gather(self.labels, class_ids)}


def export(run: Path, folder: Path, weights: Weights = "float16", *, saved_model: bool = False) -> Bundle:
    """Write the bundle of a run.

    Parameters
    ----------
    run : Path
        A run folder; of a run under way, its newest checkpoint is taken.
    folder : Path
        The bundle; an older one is replaced.
    weights : {"float32", "float16", "int8"}
        How the LiteRT file stores the network: exactly; rounded, in half the space; or so that from the log-mel layer
        on it also computes in int8, with ranges taken from training examples, a quarter of the size and several
        times faster.
    saved_model : bool
        Add ``saved_model/``, with the tutorial's two signatures.

    Raises
    ------
    UsageError
        For int8: the data folder of the run is gone.
    OutputError
        `folder` holds something that is no bundle, or cannot be written.
    """
    settings, network = read_settings(run), load_network(run)
    converted = convert(network, weights, training_examples(settings, CALIBRATION) if weights == "int8" else None)
    _make_room(folder)
    (folder / bundle.NETWORK).write_bytes(converted)
    if saved_model:
        tf.saved_model.save(TutorialModule(network, settings.labels), str(folder / bundle.SAVED_MODEL))
    keywords = [label for label in settings.labels if label not in bundle.RESERVED_LABELS]
    written = Bundle(
        name=settings.recipe.name,
        labels=settings.labels,
        front_end=FrontEnd(),
        hop_samples=HOP_SAMPLES,
        detector=settings.recipe.detector.settings(keywords),
        files={path.relative_to(folder).as_posix(): bundle.record(path) for path in _files(folder)},
        licence=LICENCE,
        attribution=settings.recipe.attribution,
        training=msgspec.to_builtins(msgspec.structs.replace(settings, data=Path(settings.data).name)),
    )
    card.write(written, folder)
    return bundle.read_bundle(folder)


def convert(network: keras.Model, weights: Weights, examples: Float32 | None = None) -> bytes:
    """The network with a softmax as a LiteRT file: float32 (1, 124, 129) to probabilities.

    Parameters
    ----------
    network : keras.Model
    weights : {"float32", "float16", "int8"}
        See `export`.
    examples : ndarray, shape (n, 124, 129), float32
        For int8: spectrograms from which the ranges of its layers are taken.
    """
    single = keras.Input(batch_shape=(1, frontend.FRAMES, frontend.BINS), dtype="float32", name="spectrogram")
    model = keras.Model(single, keras.layers.Softmax()(network(single, training=False)))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # Keras prints the signature
        if examples is None:
            return bytes(converter.convert())
        return _quantized(converter, examples, _of_one_channel(model, network))


def _quantized(converter: Any, examples: Float32, kept_float: list[str]) -> bytes:
    def one_by_one() -> Iterator[list[Float32]]:
        return ([example[np.newaxis]] for example in examples)

    converter.representative_dataset = one_by_one
    # Of what TensorFlow can do, only its debugger of quantisation leaves chosen operations alone.
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=KEPT_FLOAT, denylisted_nodes=kept_float)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # about statistics that it takes itself
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=one_by_one, debug_options=options
        )
    return bytes(debugger.get_nondebug_quantized_model())


def _of_one_channel(model: keras.Model, network: keras.Model) -> list[str]:
    """Names, in the converted model, of what a convolution of a single channel takes and gives.

    XNNPACK computes it three times slower in int8 than in float32: it pads the channel to eight.
    They are found by their shapes, so another tensor of one of those stays float32 with them.
    """
    shapes = set()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] == 1:
            taken, given = (1, *layer.input.shape[1:]), (1, *layer.output.shape[1:])
            shapes |= {taken[:-1], taken, given}
    interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return [tensor["name"] for tensor in interpreter.get_tensor_details() if tuple(tensor["shape"]) in shapes]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _make_room(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / bundle.MANIFEST).exists():
        raise OutputError(f"{folder} exists and is no bundle: nothing was written")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from None
