"""A model bundle is a folder with a network, the front end parameters, the detector settings and a training record."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from kwsd import frontend
from kwsd.errors import ModelError
from kwsd.files import DESCRIPTION_LIMIT, NETWORK_LIMIT, check_file, read_file

Description = TypeVar("Description", bound=msgspec.Struct)

SCHEMA_VERSION = 1
MANIFEST = "bundle.json"
NETWORK = "model.tflite"
SAVED_MODEL = "saved_model"
MODEL_CARD = "MODEL_CARD.md"
SILENCE_LABEL, UNKNOWN_LABEL = "_silence_", "_unknown_"
RESERVED_LABELS = frozenset({SILENCE_LABEL, UNKNOWN_LABEL})
"""Labels of the Speech Commands data set (arXiv:1804.03209, section 5) that never become events."""

MAX_NAME = 100
"""Maximum length of a model name, in characters. The length of the name is limited because every event contains the
name."""

MAX_SMOOTHING_S = 30
"""Maximum length of the audio in the moving average, in seconds. The daemon keeps this audio in memory, and a word
lasts about one second."""

MAX_LABEL_BYTES = 70
"""Maximum length of a label in bytes, encoded as UTF-8. In the file name of a clip, each byte of the label may become
three bytes, and a file name has at most 255 bytes."""

SEPARATORS = frozenset("/,=*")
"""Characters that a label cannot contain.

A slash separates the folders of a path. ``--labels`` and ``KWSD_THRESHOLDS`` separate words with commas.
``--threshold`` uses the equals sign. In ``[actions]`` the star means every keyword.
"""

FILE_NAME = re.compile(r"\..*|.*\.[A-Za-z]\w{0,4}|LICEN[CS]E|README|COPYING|NOTICE", re.DOTALL)
"""Names that belong to a file and not to a word: hidden files, names with an extension, and common files of data
sets."""

Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Windows = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class FrontEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the front end with which a network was trained.

    All values are in samples, except the sample rate in hertz.
    """

    sample_rate: int = frontend.SAMPLE_RATE
    window_samples: int = frontend.WINDOW_SAMPLES
    frame_length: int = frontend.FRAME_LENGTH
    frame_step: int = frontend.FRAME_STEP
    fft_length: int = frontend.FFT_LENGTH
    taper: Literal["hann-symmetric"] = "hann-symmetric"
    output: Literal["magnitude"] = "magnitude"


class DetectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the rule that converts scores to detections; see `kwsd.pipeline.detector.Detector`.

    Parameters
    ----------
    thresholds : dict
        Maps each keyword to the threshold of its smoothed score, in (0, 1].
    smoothing_windows : int
        Number of windows in the moving average of the scores.
    hits : int
        Number of consecutive hits that a detection needs.
    refractory_s : float
        Refractory period: seconds after a detection in which no other detection can occur.
    rearm : float
        Re-arm factor, in (0, 1]. A keyword is armed again when its smoothed score falls below this factor times its
        threshold.
    """

    thresholds: dict[str, Share]
    smoothing_windows: Windows = 3
    hits: Windows = 2
    refractory_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.75
    rearm: Share = 0.6


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size in bytes and SHA-256 of one file in the bundle."""

    size: int
    sha256: str


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``bundle.json``.

    Parameters
    ----------
    labels : list of str
        Label of each output of the network, in the order of the outputs.
    hop_samples : int
        Number of samples from the start of one window to the start of the next. The value must be a multiple of the
        frame step.
    files : dict
        Maps each path inside the folder, with forward slashes, to its `FileRecord`.
    training : dict
        Recipe, data listing, random seed and library versions. The training package writes this record.
    metrics : dict
        Results of the evaluation with their confidence intervals.
    """

    name: str
    labels: list[str]
    front_end: FrontEnd
    hop_samples: int
    detector: DetectorSettings
    files: dict[str, FileRecord]
    licence: str
    attribution: list[str]
    training: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    schema_version: int = SCHEMA_VERSION

    @property
    def keywords(self) -> list[str]:
        """Labels that become events."""
        return keywords_among(self.labels)


def keywords_among(labels: Iterable[str]) -> list[str]:
    """Return the labels that become events, in the given order."""
    return [label for label in labels if label not in RESERVED_LABELS]


def check_labels(labels: Sequence[str], origin: str) -> tuple[str, ...]:
    """Check the labels of a network, and return them as a tuple.

    Parameters
    ----------
    labels : sequence of str
        Label of each output of a network, in the order of the outputs.
    origin : str
        Name of the model or option that has these labels, for error messages.

    Raises
    ------
    ModelError
        A label is not a valid keyword, a label occurs twice, or none of the labels is a keyword.
    """
    for label in labels:
        if fault := _find_fault(label):
            raise ModelError(f"{origin}: the label {label!r} {fault}")
    label, count = Counter(labels).most_common(1)[0] if labels else ("", 0)
    if count > 1:
        raise ModelError(f"{origin}: a label occurs twice: {label!r}")
    if not keywords_among(labels):
        raise ModelError(f"{origin} has no keyword among its labels: {' '.join(labels) or 'there are none'}")
    return tuple(labels)


def read_bundle(folder: Path) -> Bundle:
    """Read and check the bundle in a folder.

    Raises
    ------
    ModelError
        A file of the bundle is missing, altered or malformed, or the bundle was made for another front end.
    """
    return read_bundle_and_network(folder)[0]


def read_bundle_and_network(folder: Path) -> tuple[Bundle, bytes]:
    """Read and check a bundle, and return the bundle with the content of its network file.

    The hash is computed from the returned content, so a later change of the network file has no effect.

    Raises
    ------
    ModelError
        The bundle has one of the faults that `read_bundle` reports.
    """
    bundle = read_description(folder / MANIFEST, Bundle)
    _check_meaning(bundle, folder)
    network = b""
    for path, record in bundle.files.items():
        content = read_described_file(folder, path, record, MANIFEST)
        if path == NETWORK:
            network = content
    return bundle, network


def write_manifest(bundle: Bundle, folder: Path) -> None:
    """Write ``bundle.json``, with indentation."""
    encoded = msgspec.json.format(msgspec.json.encode(bundle), indent=2)
    (folder / MANIFEST).write_bytes(encoded + b"\n")


def describe_file(path: Path) -> FileRecord:
    """Return the size and the SHA-256 of a file."""
    return describe_content(path.read_bytes())


def describe_content(content: bytes) -> FileRecord:
    """Return the size and the SHA-256 of the content of a file."""
    return FileRecord(len(content), hashlib.sha256(content).hexdigest())


def _check_meaning(bundle: Bundle, folder: Path) -> None:
    if bundle.schema_version != SCHEMA_VERSION:
        raise ModelError(f"{folder} has bundle schema {bundle.schema_version}, this kwsd reads schema {SCHEMA_VERSION}")
    check_front_end(folder, bundle.front_end, FrontEnd())
    if bundle.hop_samples <= 0 or bundle.hop_samples % frontend.FRAME_STEP:
        raise ModelError(f"{folder}: hop_samples is {bundle.hop_samples}, not a multiple of {frontend.FRAME_STEP}")
    if bundle.hop_samples > frontend.WINDOW_SAMPLES:
        raise ModelError(f"{folder}: hop_samples is {bundle.hop_samples}, longer than the window")
    memory_s = bundle.detector.smoothing_windows * bundle.hop_samples / frontend.SAMPLE_RATE
    if memory_s > MAX_SMOOTHING_S:
        raise ModelError(
            f"{folder}: smoothing_windows and hop_samples are an average over {memory_s:.0f} s, not a word"
        )
    if not bundle.name.isprintable() or not 0 < len(bundle.name) <= MAX_NAME:
        raise ModelError(f"{folder}: the name in {MANIFEST} is not a text of 1 to {MAX_NAME} characters")
    check_labels(bundle.labels, str(folder))
    if set(bundle.detector.thresholds) != set(bundle.keywords):
        raise ModelError(
            f"{folder}: thresholds are for {sorted(bundle.detector.thresholds)}, keywords are {sorted(bundle.keywords)}"
        )
    if NETWORK not in bundle.files:
        raise ModelError(f"{folder}: bundle.json does not list {NETWORK}")


def read_description(path: Path, kind: type[Description]) -> Description:
    """Read the JSON file that describes a model folder, and check it against its type.

    Raises
    ------
    ModelError
        The description file is missing, too large or malformed.
    """
    try:
        return msgspec.json.decode(read_file(path, DESCRIPTION_LIMIT), type=kind)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not a valid {path.stem} description: {error}") from None


def check_front_end(folder: Path, described: msgspec.Struct, ours: msgspec.Struct) -> None:
    """Raise a `ModelError` if the front end that a model folder describes has other parameters than kwsd's."""
    expected = msgspec.structs.asdict(ours)
    for name, value in msgspec.structs.asdict(described).items():
        if value != expected[name]:
            raise ModelError(f"{folder} was made for another front end: {name} is {value}, kwsd's is {expected[name]}")


def read_described_file(folder: Path, path: str, expected: FileRecord, description: str) -> bytes:
    """Return the content of a file of a model folder, whose size and SHA-256 the file `description` contains.

    Raises
    ------
    ModelError
        The path is outside the folder, or the file is missing or altered.
    """
    if Path(path).is_absolute() or ".." in Path(path).parts or not path.isprintable():
        raise ModelError(f"{folder}: {description} names {path!r}, which is outside the bundle")
    try:
        # A file of another size is not read, because it could be much larger.
        same = check_file(folder / path, NETWORK_LIMIT) == expected.size
        content = read_file(folder / path, NETWORK_LIMIT) if same else b""
    except OSError as error:
        raise ModelError(f"cannot read {folder / path}: {error.strerror}") from None
    if describe_content(content) != expected:
        raise ModelError(f"{folder / path} is not the file that {description} describes: its SHA-256 or size differs")
    return content


def _find_fault(label: str) -> str:
    """Return the fault of a label as a text, or an empty text if the label is valid."""
    if label in RESERVED_LABELS:
        return ""
    plain = label.strip("_ ").casefold().replace(" ", "_").replace("-", "_")
    faults = {
        "is empty, or begins or ends with a space": not label or label != label.strip(),
        "contains characters that cannot be printed": not label.isprintable(),
        "contains a slash, comma, equals sign or star": bool(SEPARATORS & set(label)),
        f"is longer than {MAX_LABEL_BYTES} bytes": len(label.encode(errors="replace")) > MAX_LABEL_BYTES,
        f"is a folder of noise, not a word: name the outputs with --labels, and this one {SILENCE_LABEL}": (
            plain == "background_noise"
        ),
        "is the name of a file, not a word: was the model trained on a folder with other files?": bool(
            FILE_NAME.fullmatch(label)
        ),
    }
    return next((fault for fault, found in faults.items() if found), "")
