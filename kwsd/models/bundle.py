"""Model bundles: folders with a network, its front end, its detector settings, and the record of its training."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from kwsd import frontend
from kwsd.errors import ModelError
from kwsd.files import DESCRIPTION_LIMIT, NETWORK_LIMIT, check_file, read_file

SCHEMA_VERSION = 1
MANIFEST = "bundle.json"
NETWORK = "model.tflite"
SAVED_MODEL = "saved_model"
MODEL_CARD = "MODEL_CARD.md"
SILENCE_LABEL, UNKNOWN_LABEL = "_silence_", "_unknown_"
RESERVED_LABELS = frozenset({SILENCE_LABEL, UNKNOWN_LABEL})
"""Labels of the Speech Commands data set (arXiv:1804.03209, section 5) that never become events."""

MAX_NAME = 100
"""Longest name of a model in characters. It is part of every event."""

MAX_SMOOTHING_S = 30
"""Longest audio in the moving average, in seconds. The daemon keeps it in memory, and a word takes about one second."""

MAX_LABEL_BYTES = 70
"""Longest label in UTF-8. Each byte may become three in the name of a clip, which has 255 at most."""

SEPARATORS = frozenset("/,=*")
"""Characters that a label cannot contain.

A slash separates folders. ``--labels`` and ``KWSD_THRESHOLDS`` use the comma, and ``--threshold`` the equals sign. In
``[actions]`` the star means every keyword.
"""

FILE_NAME = re.compile(r"\..*|.*\.[A-Za-z]\w{0,4}|LICEN[CS]E|README|COPYING|NOTICE", re.DOTALL)
"""A name that a file has rather than a word: hidden, with an ending, or found in the root of many data sets."""

Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Windows = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class FrontEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the front end that a network was trained on. All are in samples, except the rate in hertz."""

    sample_rate: int = frontend.SAMPLE_RATE
    window_samples: int = frontend.WINDOW_SAMPLES
    frame_length: int = frontend.FRAME_LENGTH
    frame_step: int = frontend.FRAME_STEP
    fft_length: int = frontend.FFT_LENGTH
    taper: Literal["hann-symmetric"] = "hann-symmetric"
    output: Literal["magnitude"] = "magnitude"


class DetectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the rule that turns scores into detections; see `kwsd.pipeline.detector.Detector`.

    Parameters
    ----------
    thresholds : dict
        Threshold of each keyword's smoothed score, in (0, 1].
    smoothing_windows : int
        Number of windows in the moving average of the scores.
    hits : int
        Number of consecutive hits that a detection needs.
    refractory_s : float
        Refractory period: seconds after a detection in which no other detection can occur.
    rearm : float
        Share of its threshold, in (0, 1], below which a keyword is armed again.
    """

    thresholds: dict[str, Share]
    smoothing_windows: Windows = 3
    hits: Windows = 2
    refractory_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.75
    rearm: Share = 0.6


class FileRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size in bytes and SHA-256 of one file of the bundle."""

    size: int
    sha256: str


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``bundle.json``.

    Parameters
    ----------
    labels : list of str
        Meaning of the network's outputs, in order.
    hop_samples : int
        Samples from one window to the next. A multiple of the frame step.
    files : dict
        Maps each path inside the folder, with forward slashes, to its `FileRecord`.
    training : dict
        Recipe, data listing, seed and versions, written by the training package.
    metrics : dict
        Measured figures with their confidence intervals.
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
    """Labels that become events, in the given order."""
    return [label for label in labels if label not in RESERVED_LABELS]


def check_labels(labels: Sequence[str], origin: str) -> tuple[str, ...]:
    """Check labels, and return them as a tuple.

    Parameters
    ----------
    labels : sequence of str
        Meaning of the outputs of a network, in order.
    origin : str
        What has these labels, for messages.

    Raises
    ------
    ModelError
        A label cannot be a keyword, occurs twice, or no label is a keyword.
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
    """Read and check a bundle.

    Raises
    ------
    ModelError
        A file is missing, altered or malformed, or the bundle was made for another front end.
    """
    return read_bundle_and_network(folder)[0]


def read_bundle_and_network(folder: Path) -> tuple[Bundle, bytes]:
    """Read and check a bundle, and return it with the content of its network.

    The hash is that of the returned content, so a change of the file after the check has no effect.

    Raises
    ------
    ModelError
        As for `read_bundle`.
    """
    manifest = folder / MANIFEST
    try:
        bundle = msgspec.json.decode(read_file(manifest, DESCRIPTION_LIMIT), type=Bundle)
    except OSError as error:
        raise ModelError(f"cannot read {manifest}: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ModelError(f"{manifest} is not a valid bundle description: {error}") from None
    _check_meaning(bundle, folder)
    network = b""
    for path, record in bundle.files.items():
        content = _read_described_file(folder, path, record)
        if path == NETWORK:
            network = content
    return bundle, network


def write_manifest(bundle: Bundle, folder: Path) -> None:
    """Write ``bundle.json``, with indentation."""
    encoded = msgspec.json.format(msgspec.json.encode(bundle), indent=2)
    (folder / MANIFEST).write_bytes(encoded + b"\n")


def describe_file(path: Path) -> FileRecord:
    """Size and SHA-256 of a file."""
    return describe_content(path.read_bytes())


def describe_content(content: bytes) -> FileRecord:
    """Size and SHA-256 of the content of a file."""
    return FileRecord(len(content), hashlib.sha256(content).hexdigest())


def _check_meaning(bundle: Bundle, folder: Path) -> None:
    if bundle.schema_version != SCHEMA_VERSION:
        raise ModelError(f"{folder} has bundle schema {bundle.schema_version}, this kwsd reads schema {SCHEMA_VERSION}")
    ours = msgspec.structs.asdict(FrontEnd())
    for name, value in msgspec.structs.asdict(bundle.front_end).items():
        if value != ours[name]:
            raise ModelError(f"{folder} was made for another front end: {name} is {value}, kwsd's is {ours[name]}")
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


def _read_described_file(folder: Path, path: str, expected: FileRecord) -> bytes:
    if Path(path).is_absolute() or ".." in Path(path).parts or not path.isprintable():
        raise ModelError(f"{folder}: bundle.json names {path!r}, which is outside the bundle")
    try:
        # A file of another size is not read, because it could be much larger.
        same = check_file(folder / path, NETWORK_LIMIT) == expected.size
        content = read_file(folder / path, NETWORK_LIMIT) if same else b""
    except OSError as error:
        raise ModelError(f"cannot read {folder / path}: {error.strerror}") from None
    if describe_content(content) != expected:
        raise ModelError(f"{folder / path} is not the file that bundle.json describes: its SHA-256 or size differs")
    return content


def _find_fault(label: str) -> str:
    """Return what is wrong with a label, or an empty text."""
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
