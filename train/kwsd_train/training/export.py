"""Export of the trained network of a run as a bundle that kwsd can run."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import keras
import msgspec
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kwsd import frontend
from kwsd.errors import OutputError
from kwsd.files import DESCRIPTION_LIMIT, is_present, read_file
from kwsd.frontend import Float32
from kwsd.models import bundle
from kwsd.models.bundle import Bundle, FrontEnd
from kwsd_train.data.recipe_data import load_recipe_clips
from kwsd_train.data.training_data import make_training_data
from kwsd_train.measuring.card import write_card_and_manifest
from kwsd_train.training.run_folder import RunSettings, load_network, read_run_settings

HOP_SAMPLES = 1280
"""Number of samples from one window to the next: 80 ms.

The hop is short because the detector's median delay is one or two hops.
"""
LICENCE = "Apache-2.0"
WeightFormat = Literal["float32", "float16", "int8"]
FLOAT_OPERATIONS = ["SQUARE", "FULLY_CONNECTED", "LOG", "MUL", "SOFTMAX"]
"""Operations that an int8 model computes in floating point: those of the classifier and of the log-mel layer.

The powers in the log-mel layer span ten decades, which is too much for int8.
"""
CALIBRATION_EXAMPLES = 1024
"""Number of training examples from which the value ranges of the int8 layers are measured."""


class TutorialModule(tf.Module):  # type: ignore[misc]
    """A SavedModel as in TensorFlow's tutorial, which maps audio to logits, classes and class names.

    Parameters
    ----------
    network : keras.Model
        Trained network that maps spectrograms to logits.
    labels : list of str
        Names of the classes, in the order of the logits.
    """

    def __init__(self, network: keras.Model, labels: list[str]) -> None:
        super().__init__()
        self.network = network
        self.labels = tf.constant(labels)
        self.__call__.get_concrete_function(x=tf.TensorSpec((), tf.string))
        self.__call__.get_concrete_function(x=tf.TensorSpec((None, frontend.WINDOW_SAMPLES), tf.float32))

    @tf.function  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> dict[str, Any]:
        """Recognise the word in a WAV file or in waveforms.

        The input is the path of a WAV file as a scalar string, or waveforms, shape (n, 16000), float32.
        """
        if x.dtype == tf.string:
            audio, _ = tf.audio.decode_wav(tf.io.read_file(x), 1, frontend.WINDOW_SAMPLES)
            x = tf.squeeze(audio, axis=-1)[tf.newaxis]  # (16000, 1) -> (1, 16000)
        spectrograms = tf.abs(tf.signal.stft(x, frame_length=frontend.FRAME_LENGTH, frame_step=frontend.FRAME_STEP))
        logits = self.network(spectrograms, training=False)
        class_ids = tf.argmax(logits, axis=-1)
        return {"predictions": logits, "class_ids": class_ids, "class_names": tf.gather(self.labels, class_ids)}


def export_bundle(run: Path, folder: Path, weights: WeightFormat = "float16", *, saved_model: bool = False) -> Bundle:
    """Write the trained network of a run as a bundle.

    Parameters
    ----------
    run : Path
        Folder of the run. If the run is not finished, the newest checkpoint of the run is exported.
    folder : Path
        Folder of the new bundle. The files of an older bundle in this folder are replaced. Files in the folder that do
        not belong to the older bundle stay.
    weights : {"float32", "float16", "int8"}
        Number format of the weights in the LiteRT file. float16 needs half the space of float32, and int8 needs a
        quarter. With int8, the layers after the log-mel layer also compute in int8, which is several times faster.
    saved_model : bool
        Whether to add the folder ``saved_model/`` with the two signatures of TensorFlow's tutorial.

    Raises
    ------
    UsageError
        `weights` is int8, and the data folder of the run is missing.
    OutputError
        `folder` contains files but not a bundle, or it cannot be written. After an error, an older bundle stays
        unchanged.
    """
    old = _find_files_of_bundle(folder)
    settings, network = read_run_settings(run), load_network(run)
    examples = training_examples(settings, CALIBRATION_EXAMPLES) if weights == "int8" else None
    try:
        # The temporary folder is in the target's file system, because only there can a file be moved atomically.
        parent = folder if folder.is_dir() else folder.parent
        parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export-", dir=parent) as fresh:
            network_content = convert_to_litert(network, weights, examples)
            (Path(fresh) / bundle.NETWORK).write_bytes(network_content)
            if saved_model:
                tf.saved_model.save(TutorialModule(network, settings.labels), f"{fresh}/{bundle.SAVED_MODEL}")
            write_card_and_manifest(_describe(settings, Path(fresh)), Path(fresh))
            _replace_bundle(folder, Path(fresh), old, bundle.read_bundle(Path(fresh)))
    except (OSError, tf.errors.OpError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise OutputError(f"cannot write {folder}: {reason}") from None
    return bundle.read_bundle(folder)


def _describe(settings: RunSettings, folder: Path) -> Bundle:
    return Bundle(
        name=settings.recipe.name,
        labels=settings.labels,
        front_end=FrontEnd(),
        hop_samples=HOP_SAMPLES,
        detector=settings.recipe.detector.settings(settings.keywords),
        files={path.relative_to(folder).as_posix(): bundle.describe_file(path) for path in _all_files(folder)},
        licence=LICENCE,
        attribution=settings.recipe.attribution,
        # A bundle must not contain paths of the computer on which the network was trained.
        training=msgspec.to_builtins(msgspec.structs.replace(settings, data=Path(settings.data).name, after_path="")),
    )


def training_examples(settings: RunSettings, count: int) -> Float32:
    """Return the first training examples of a run.

    Parameters
    ----------
    settings : RunSettings
        Settings of the run.
    count : int
        Maximum number of examples that are returned.

    Returns
    -------
    ndarray, shape (n, 124, 129), float32
        Spectrograms of the examples.

    Raises
    ------
    UsageError
        The data folder of the run is missing.
    """
    recipe, data = settings.recipe, Path(settings.data)
    prepared = make_training_data(recipe, data, settings.labels, load_recipe_clips(recipe, data, strict=False))
    batches = (np.asarray(inputs) for inputs, _ in prepared.batches(0))
    return np.concatenate(list(islice(batches, -(-count // recipe.batch_size))))[:count]


def convert_to_litert(network: keras.Model, weights: WeightFormat, examples: Float32 | None = None) -> bytes:
    """Convert a network and a softmax to a LiteRT file.

    The LiteRT file maps spectrograms, float32 (1, 124, 129), to probabilities.

    Parameters
    ----------
    network : keras.Model
        Trained network that maps spectrograms to logits.
    weights : {"float32", "float16", "int8"}
        See `export_bundle`.
    examples : ndarray, shape (n, 124, 129), float32
        Spectrograms from which the value ranges of the int8 layers are measured. Only the weight format int8 needs
        these examples.
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
    """Return the names of the inputs and outputs of convolutions with one input channel in the converted model.

    In int8, XNNPACK pads one input channel to eight. Therefore XNNPACK computes convolutions with one input channel
    three times slower in int8 than in float32. The inputs and outputs of these convolutions are found by their shapes.
    Therefore other tensors with equal shapes also stay in float32.
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


class _OldBundle(msgspec.Struct):
    """The part of an older ``bundle.json`` that lists the bundle's files. The schema version can be any number."""

    files: dict[str, Any]


def _find_files_of_bundle(folder: Path) -> set[str]:
    """Return the paths of the files of an older bundle, relative to the folder of the bundle.

    Raises
    ------
    OutputError
        `folder` is not a folder, contains files but not a bundle, or contains a damaged ``bundle.json``.
    """
    if not is_present(folder):
        return set()
    try:
        if not any(folder.iterdir()):
            return set()
        described = msgspec.json.decode(read_file(folder / bundle.MANIFEST, DESCRIPTION_LIMIT), type=_OldBundle)
    except FileNotFoundError:
        raise OutputError(f"{folder} exists and is not a bundle: choose another folder") from None
    except OSError as error:
        raise OutputError(f"cannot write a bundle to {folder}: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise OutputError(f"{folder / bundle.MANIFEST} is damaged: {error}; choose another folder") from None
    return {bundle.MANIFEST} | {path for path in described.files if _is_inside(folder, path)}


def _is_inside(folder: Path, path: str) -> bool:
    """Whether a path in a ``bundle.json`` is inside the folder of the bundle after symbolic links are resolved."""
    parent = (folder / path).parent
    return path.isprintable() and ".." not in Path(path).parts and parent.resolve().is_relative_to(folder.resolve())


def _replace_bundle(folder: Path, fresh: Path, old: set[str], new: Bundle) -> None:
    """Move the files of a new bundle into a folder, and delete the files that only the old bundle contains."""
    files = [*new.files, bundle.MANIFEST]  # the manifest is moved last, because it makes the folder a bundle
    for path in files:
        if path not in old and is_present(folder / path):
            raise OutputError(f"{folder / path} exists and does not belong to the old bundle: choose another folder")
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(folder / path)
    for path in old.difference(files):
        (folder / path).unlink(missing_ok=True)
    subfolders = {folder / parent for path in old for parent in Path(path).parents} - {folder}
    for subfolder in sorted(subfolders, reverse=True):  # the inner ones come first
        if subfolder.is_dir() and not any(subfolder.iterdir()):
            subfolder.rmdir()
