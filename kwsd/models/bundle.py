"""Model bundles: folders with a network, its front end, its detector settings, and the record of its training."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from kwsd import frontend
from kwsd.errors import ModelError

SCHEMA_VERSION = 1
MANIFEST = "bundle.json"
NETWORK = "model.tflite"
SAVED_MODEL = "saved_model"
MODEL_CARD = "MODEL_CARD.md"
SILENCE_LABEL, UNKNOWN_LABEL = "_silence_", "_unknown_"
RESERVED_LABELS = frozenset({SILENCE_LABEL, UNKNOWN_LABEL})
"""Labels of the Speech Commands data set (arXiv:1804.03209, section 5) that never become events."""


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


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle.

    Raises
    ------
    ModelError
        A file is missing, altered or malformed, or the bundle was made for another front end.
    """
    manifest = folder / MANIFEST
    try:
        bundle = msgspec.json.decode(manifest.read_bytes(), type=Bundle)
    except OSError as error:
        raise ModelError(f"cannot read {manifest}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{manifest} is not a valid bundle description: {error}") from None
    _check_meaning(bundle, folder)
    for path, record in bundle.files.items():
        _check_file(folder, path, record)
    return bundle


def write_manifest(bundle: Bundle, folder: Path) -> None:
    """Write ``bundle.json``, with indentation."""
    encoded = msgspec.json.format(msgspec.json.encode(bundle), indent=2)
    (folder / MANIFEST).write_bytes(encoded + b"\n")


def describe_file(path: Path) -> FileRecord:
    """Size and SHA-256 of a file."""
    data = path.read_bytes()
    return FileRecord(len(data), hashlib.sha256(data).hexdigest())


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
    if len(set(bundle.labels)) != len(bundle.labels):
        raise ModelError(f"{folder}: a label occurs twice")
    if set(bundle.detector.thresholds) != set(bundle.keywords):
        raise ModelError(
            f"{folder}: thresholds are for {sorted(bundle.detector.thresholds)}, keywords are {sorted(bundle.keywords)}"
        )
    if NETWORK not in bundle.files:
        raise ModelError(f"{folder}: bundle.json does not list {NETWORK}")


def _check_file(folder: Path, path: str, expected: FileRecord) -> None:
    if Path(path).is_absolute() or ".." in Path(path).parts or not path.isprintable():
        raise ModelError(f"{folder}: bundle.json names {path!r}, which is outside the bundle")
    try:
        # The size first: a device file never ends, but its size is 0.
        same = (folder / path).stat().st_size == expected.size and describe_file(folder / path) == expected
    except OSError as error:
        raise ModelError(f"cannot read {folder / path}: {error.strerror}") from None
    if not same:
        raise ModelError(f"{folder / path} is not the file that bundle.json describes: its SHA-256 or size differs")
