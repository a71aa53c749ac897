"""Exports the network of a run as a bundle that kwsd runs."""

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
from kwsd_train.measuring.card import write_card_and_manifest
from kwsd_train.training.fit import training_examples
from kwsd_train.training.run_folder import load_network, read_run_settings

HOP_SAMPLES = 1280
"""Samples between two windows: 80 ms, because the detector's median delay is one or two hops."""
LICENCE = "Apache-2.0"
WeightFormat = Literal["float32", "float16", "int8"]
FLOAT_OPERATIONS = ["SQUARE", "FULLY_CONNECTED", "LOG", "MUL", "SOFTMAX"]
"""Operations that stay in floating point: the log-mel layer, whose powers span ten decades, and the classifier."""
CALIBRATION_EXAMPLES = 1024
"""Number of training examples from which the ranges of the int8 layers are taken."""


class TutorialModule(tf.Module):  # type: ignore[misc]
    """The SavedModel of TensorFlow's tutorial, which maps audio to logits, classes and class names.

    Parameters
    ----------
    network : keras.Model
        Network that maps spectrograms to logits.
    labels : list of str
        Names of the classes.
    """

    def __init__(self, network: keras.Model, labels: list[str]) -> None:
        super().__init__()
        self.network = network
        self.labels = tf.constant(labels)
        self.__call__.get_concrete_function(x=tf.TensorSpec((), tf.string))
        self.__call__.get_concrete_function(x=tf.TensorSpec((None, frontend.WINDOW_SAMPLES), tf.float32))

    @tf.function  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> dict[str, Any]:
        """Recognise a WAV file, given by its path (scalar string), or waveforms (n, 16000), float32."""
        if x.dtype == tf.string:
            audio, _ = tf.audio.decode_wav(tf.io.read_file(x), 1, frontend.WINDOW_SAMPLES)
            x = tf.squeeze(audio, axis=-1)[tf.newaxis]  # (16000, 1) -> (1, 16000)
        spectrograms = tf.abs(tf.signal.stft(x, frame_length=frontend.FRAME_LENGTH, frame_step=frontend.FRAME_STEP))
        logits = self.network(spectrograms, training=False)
        class_ids = tf.argmax(logits, axis=-1)
        return {"predictions": logits, "class_ids": class_ids, "class_names": tf.gather(self.labels, class_ids)}


def export_bundle(run: Path, folder: Path, weights: WeightFormat = "float16", *, saved_model: bool = False) -> Bundle:
    """Write the bundle of a run.

    Parameters
    ----------
    run : Path
        Run folder. If the run is not finished, its newest checkpoint is exported.
    folder : Path
        Folder of the bundle. An older bundle is replaced.
    weights : {"float32", "float16", "int8"}
        How the LiteRT file stores the weights. float16 needs half the space of float32. int8 needs a quarter, and the
        layers after the log-mel layer also compute in int8, several times faster.
    saved_model : bool
        Add ``saved_model/`` with the tutorial's two signatures.

    Raises
    ------
    UsageError
        The weights are int8, and the data folder of the run is missing.
    OutputError
        `folder` contains something else than a bundle, or cannot be written.
    """
    settings, network = read_run_settings(run), load_network(run)
    examples = training_examples(settings, CALIBRATION_EXAMPLES) if weights == "int8" else None
    converted = convert_to_litert(network, weights, examples)
    # The old bundle is deleted only after the conversion has succeeded.
    _empty_folder(folder)
    (folder / bundle.NETWORK).write_bytes(converted)
    if saved_model:
        tf.saved_model.save(TutorialModule(network, settings.labels), str(folder / bundle.SAVED_MODEL))
    written = Bundle(
        name=settings.recipe.name,
        labels=settings.labels,
        front_end=FrontEnd(),
        hop_samples=HOP_SAMPLES,
        detector=settings.recipe.detector.settings(settings.keywords),
        files={path.relative_to(folder).as_posix(): bundle.describe_file(path) for path in _all_files(folder)},
        licence=LICENCE,
        attribution=settings.recipe.attribution,
        training=msgspec.to_builtins(msgspec.structs.replace(settings, data=Path(settings.data).name)),
    )
    write_card_and_manifest(written, folder)
    return bundle.read_bundle(folder)


def convert_to_litert(network: keras.Model, weights: WeightFormat, examples: Float32 | None = None) -> bytes:
    """Convert a network and a softmax to a LiteRT file, which maps float32 (1, 124, 129) to probabilities.

    Parameters
    ----------
    network : keras.Model
        Network that maps spectrograms to logits.
    weights : {"float32", "float16", "int8"}
        See `export_bundle`.
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms from which the ranges of the int8 layers are taken. Needed only for int8.
    """
    single = keras.Input(batch_shape=(1, frontend.FRAMES, frontend.BINS), dtype="float32", name="spectrogram")
    model = keras.Model(single, keras.layers.Softmax()(network(single, training=False)))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # Keras prints the signature to standard output
        if examples is None:
            return bytes(converter.convert())
        return _quantize(converter, examples, _single_channel_tensors(model, network))


def _quantize(converter: Any, examples: Float32, float_tensors: list[str]) -> bytes:
    def one_by_one() -> Iterator[list[Float32]]:
        return ([example[np.newaxis]] for example in examples)

    converter.representative_dataset = one_by_one
    # In TensorFlow, only the debugger of quantisation can keep chosen operations in floating point.
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=FLOAT_OPERATIONS, denylisted_nodes=float_tensors
    )
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # about statistics that it collects itself
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=one_by_one, debug_options=options
        )
    return bytes(debugger.get_nondebug_quantized_model())


def _single_channel_tensors(model: keras.Model, network: keras.Model) -> list[str]:
    """Names of the inputs and outputs of convolutions with one input channel, in the converted model.

    XNNPACK computes these convolutions three times slower in int8 than in float32, because it pads one channel to
    eight. The tensors are found by their shapes, so other tensors of the same shapes stay in float32 too.
    """
    shapes = set()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] == 1:
            input_shape, output_shape = (1, *layer.input.shape[1:]), (1, *layer.output.shape[1:])
            shapes |= {input_shape[:-1], input_shape, output_shape}
    interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return [tensor["name"] for tensor in interpreter.get_tensor_details() if tuple(tensor["shape"]) in shapes]


def _all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _empty_folder(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / bundle.MANIFEST).exists():
        raise OutputError(f"{folder} exists and is not a bundle: choose another folder")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from None
