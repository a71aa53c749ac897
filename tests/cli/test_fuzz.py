"""Whatever a file holds, its reader either takes it or says in one sentence of ours why not."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwsd.audio.file import FileSource
from kwsd.bus.curve import create_key_pair, read_key_pair
from kwsd.bus.events import decode_event
from kwsd.config.load import load_config
from kwsd.config.schema import Config
from kwsd.errors import AudioDataError, ConfigError, EventError, ModelError
from kwsd.models.bundle import MANIFEST, Bundle, read_bundle
from kwsd.models.find import find_model
from kwsd.pipeline.lazy import LazyDetector
from kwsd.system.text import clean_text

fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.integers(-(2**70), 2**70) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def accepts(read: Callable[[], object], refusal: type[Exception]) -> bool:
    """Whether a reader takes its input; a refusal must be one line."""
    try:
        read()
    except refusal as error:
        sentence = str(error)
    else:
        return True
    assert sentence
    assert clean_text(sentence) == sentence
    return False


def refuses_config(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    return not accepts(lambda: load_config(file=path, environment={}), ConfigError)


@fuzzed
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_configuration(tmp_path: Path, content: bytes) -> None:
    refuses_config(tmp_path / "config.toml", content)


@fuzzed
@given(
    key=st.sampled_from(
        [
            *Config.__struct_fields__,
            "thresholds.go",
            "curve.clients",
            "clips.keep",
            "actions.go",
            "actions.go.command",
            "x",
        ]
    ),
    value=values,
)
def test_any_value_for_any_key_of_a_configuration(tmp_path: Path, key: str, value: object) -> None:
    refuses_config(tmp_path / "config.toml", f"{key} = {json.dumps(value)}".encode())


@fuzzed
@given(
    key=st.sampled_from(["KWSD_DEVICE", "KWSD_LABELS", "KWSD_THRESHOLDS", "KWSD_LOG_LEVEL", "KWSD_NONE", "KWSD_"]),
    text=st.text(),
)
def test_any_text_in_the_environment(tmp_path: Path, key: str, text: str) -> None:
    (tmp_path / "config.toml").touch()
    accepts(lambda: load_config(file=tmp_path / "config.toml", environment={key: text}), ConfigError)


def test_a_configuration_that_nests_without_end_is_refused(tmp_path: Path) -> None:
    assert refuses_config(tmp_path / "config.toml", b"device = " + b"[" * 100_000)


@pytest.mark.parametrize("key", ["device", "model", "address", "control"])
def test_a_zero_byte_is_no_part_of_a_name(tmp_path: Path, key: str) -> None:
    assert refuses_config(tmp_path / "config.toml", f'{key} = "/tmp/a\\u0000b"'.encode())


def test_the_name_of_a_key_that_is_not_known_cannot_break_the_line_that_refuses_it(tmp_path: Path) -> None:
    assert refuses_config(tmp_path / "config.toml", rb'"a\nb\u001B[2J" = 1')


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "0", "1.5"])
def test_a_threshold_that_is_no_probability_is_refused(tmp_path: Path, number: str) -> None:
    assert refuses_config(tmp_path / "config.toml", f"thresholds.go = {number}".encode())


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file with a secret key."""
    return create_key_pair(tmp_path, "server")


@fuzzed
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_key(key: Path, content: bytes) -> None:
    key.write_bytes(content)
    accepts(lambda: read_key_pair(key), ConfigError)


@fuzzed
@given(position=st.integers(0, 400), change=st.binary(max_size=4), cut=st.booleans())
def test_any_change_of_a_key(key: Path, position: int, change: bytes, *, cut: bool) -> None:
    content = key.read_bytes()
    rest = b"" if cut else content[position + len(change) :]
    key.with_name("other").touch(mode=0o600)
    key.with_name("other").write_bytes(content[:position] + change + rest)
    accepts(lambda: read_key_pair(key.with_name("other")), ConfigError)


@given(content=st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_an_event(content: bytes) -> None:
    assert not accepts(lambda: decode_event(content), EventError)


@pytest.mark.parametrize("nested", [b"[", b'{"x":'])
def test_an_event_that_nests_without_end_is_refused(nested: bytes) -> None:
    assert not accepts(lambda: decode_event(b'{"type": "keyword", "x": ' + 100_000 * nested), EventError)


NETWORK = find_model("default")
DESCRIPTION: dict[str, Any] = json.loads((NETWORK / MANIFEST).read_bytes())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The folder of a bundle whose description is still to be written."""
    for name in DESCRIPTION["files"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(NETWORK / name)
    return tmp_path


def refuses_bundle(folder: Path, content: bytes) -> bool:
    """Whether a bundle with this description is refused; one that is not must be fit for the detector."""
    (folder / MANIFEST).write_bytes(content)
    return not accepts(lambda: use(read_bundle(folder)), ModelError)


def use(found: Bundle) -> None:
    detector = LazyDetector(tuple(found.labels), found.detector)
    for number in range(1, 4):
        detector.update(lambda _age: np.ones(len(found.labels), np.float32), number * found.hop_samples)


@fuzzed
@given(content=st.binary(max_size=200))
def test_any_bytes_as_the_description_of_a_bundle(bundle: Path, content: bytes) -> None:
    assert refuses_bundle(bundle, content)


@fuzzed
@given(key=st.sampled_from(sorted(DESCRIPTION)), value=values)
def test_any_value_for_any_key_of_a_bundle(bundle: Path, key: str, value: object) -> None:
    refuses_bundle(bundle, json.dumps(DESCRIPTION | {key: value}).encode())


@fuzzed
@given(
    key=st.sampled_from(["smoothing_windows", "hits", "refractory_s", "rearm", "thresholds"]),
    value=values | st.dictionaries(st.sampled_from(sorted(DESCRIPTION["detector"]["thresholds"])), numbers),
)
def test_any_value_for_any_setting_of_the_detector(bundle: Path, key: str, value: object) -> None:
    detector = DESCRIPTION["detector"] | {key: value}
    refuses_bundle(bundle, json.dumps(DESCRIPTION | {"detector": detector}).encode())


@fuzzed
@given(path=st.text(max_size=20), size=numbers)
def test_any_path_among_the_files_of_a_bundle(bundle: Path, path: str, size: float) -> None:
    files = DESCRIPTION["files"] | {path: {"size": size, "sha256": ""}}
    assert refuses_bundle(bundle, json.dumps(DESCRIPTION | {"files": files}).encode())


def test_a_description_that_nests_without_end_is_refused(bundle: Path) -> None:
    content = json.dumps(DESCRIPTION | {"training": {"x": 0}}).encode()
    assert refuses_bundle(bundle, content.replace(b'{"x": 0}', b'{"x":' * 100_000))


def test_the_name_of_a_field_that_is_not_known_cannot_break_the_line_that_refuses_it(bundle: Path) -> None:
    assert refuses_bundle(bundle, json.dumps(DESCRIPTION | {"detector": {"\n": None}}).encode())


@pytest.mark.parametrize(
    "settings",
    [
        {"smoothing_windows": 0},
        {"smoothing_windows": 10**9},
        {"hits": 0},
        {"refractory_s": -1},
        {"refractory_s": 1e300},
        {"rearm": 2},
    ],
)
def test_settings_that_the_detector_cannot_follow_are_refused(bundle: Path, settings: dict[str, float]) -> None:
    detector = DESCRIPTION["detector"] | settings
    assert refuses_bundle(bundle, json.dumps(DESCRIPTION | {"detector": detector}).encode())


def test_a_hop_longer_than_the_window_is_refused(bundle: Path) -> None:
    assert refuses_bundle(bundle, json.dumps(DESCRIPTION | {"hop_samples": 16_128}).encode())


@pytest.mark.timeout(10)
def test_a_bundle_with_a_device_for_a_file_is_refused(bundle: Path) -> None:
    (bundle / "model.tflite").unlink()
    (bundle / "model.tflite").symlink_to("/dev/zero")
    assert refuses_bundle(bundle, json.dumps(DESCRIPTION).encode())


def sound_file(kind: str) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, (4000, 2))
    soundfile.write(file, samples, 44_100, format=kind)
    return file.getvalue()


SOUND_FILES = {kind: sound_file(kind) for kind in ("WAV", "FLAC", "OGG", "AIFF")}


def play(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for block in FileSource(path, paced=False).blocks():
        assert block.samples.dtype == np.float32
        assert np.isfinite(block.samples).all()


@fuzzed
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_sound_file(tmp_path: Path, content: bytes) -> None:
    assert not accepts(lambda: play(tmp_path / "sound", content), AudioDataError)


@settings(fuzzed, max_examples=200)
@given(
    kind=st.sampled_from(sorted(SOUND_FILES)),
    changes=st.lists(st.tuples(st.integers(0, 99) | st.integers(0, 1999), st.integers(0, 255)), max_size=4),
    end=st.none() | st.integers(0, 2000),
)
def test_any_change_of_a_sound_file(tmp_path: Path, kind: str, changes: list[tuple[int, int]], end: int | None) -> None:
    content = bytearray(SOUND_FILES[kind])
    for position, value in changes:
        content[position] = value
    accepts(lambda: play(tmp_path / "sound", bytes(content[:end])), AudioDataError)


@pytest.mark.parametrize("rate", [1, 4_000_000_000])
def test_a_sound_file_with_an_absurd_rate_is_refused(tmp_path: Path, rate: int) -> None:
    content = bytearray(SOUND_FILES["WAV"])
    content[24:28] = rate.to_bytes(4, "little")
    assert not accepts(lambda: play(tmp_path / "sound.wav", bytes(content)), AudioDataError)
