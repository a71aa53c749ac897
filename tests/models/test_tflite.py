"""Single TensorFlow Lite files: used where they classify one second, otherwise refused with a next step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import make_bundle, make_network

from kwsd import Spotter, load_model
from kwsd.errors import ModelError
from kwsd.models.model import Model

LABELS = ("go", "stop", "_unknown_")
BIAS = (3.0, 0.0, -1.0)
PROBABILITIES = np.exp(BIAS) / np.exp(BIAS).sum()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "words.tflite"


def load(path: Path, labels: Sequence[str] = LABELS, bias: Sequence[float] = BIAS, **options: Any) -> Model:  # noqa: ANN401  as `make_network`
    path.write_bytes(make_network(bias, **options))
    return load_model(path, labels)


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (1, 16_000)},
        {"shape": (16_000,)},
        {"shape": (1, 16_000, 1)},
        {"shape": (1, 124, 129)},
        {"shape": (1, 124, 129, 1)},
        {"shape": (124, 129)},
        {"shape": (1, 16_000), "dtype": "int16"},
        {"shape": (1, 16_000), "dtype": "int8", "scale": 1 / 128},
        {"shape": (1, 124, 129, 1), "dtype": "int8", "scale": 0.1},
        {"shape": (1, 124, 129), "dtype": "int16", "scale": 0.001},
        {"end": "SOFTMAX"},
    ],
)
def test_a_network_of_one_second_is_used_whatever_its_input_is(path: Path, options: dict[str, Any]) -> None:
    model = load(path, **options)
    assert (model.name, model.labels, model.keywords) == ("words", LABELS, ("go", "stop"))
    scores = model.predict(np.zeros((2, 16_000), np.float32))
    np.testing.assert_allclose(scores, [PROBABILITIES, PROBABILITIES], rtol=1e-5)
    assert Spotter(model).feed(np.zeros(16_000, np.float32))[0].keyword == "go"


def test_16_bit_samples_have_their_full_scale(path: Path) -> None:
    # The weights of the second output are 1e-7: for 16,000 samples of 32,767 they add up to 52.
    scores = load(path, shape=(1, 16_000), dtype="int16").predict(np.ones((1, 16_000), np.float32))
    assert scores.argmax() == 2


def test_the_network_of_a_bundle_is_used_without_the_bundle() -> None:
    model = load_model()
    path = Path(__file__).parents[2] / "models" / "default" / "model.tflite"
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)).astype(np.float32)
    np.testing.assert_array_equal(load_model(path, model.labels).predict(noise), model.predict(noise))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": (1, 32_000)}, r"takes float32 \(1, 32000\), 2 s at 16000 Hz.* kwsd-train fit --recipe tutorial"),
        ({"shape": (1, 49, 40, 1)}, r"takes float32 \(1, 49, 40, 1\), another spectrogram .* and export it again"),
        ({"shape": (1, 98, 40)}, "another spectrogram"),
        ({"shape": (32, 16_000)}, "a batch of 32, and kwsd gives it one window at a time"),
        ({"shape": (1, 10)}, r"takes float32 \(1, 10\), and kwsd needs"),
        ({"shape": (1, 124, 129), "dtype": "int16"}, r"takes int16 \(1, 124, 129\), and kwsd needs"),
        ({"end": "LOGISTIC"}, "ends in a sigmoid for each label.* end it with a softmax"),
        ({"end": "GATHER"}, "fails when it runs: gather index out of bounds"),
        ({"end": "BROADCAST_TO"}, "may need too much memory"),
        ({"bias": (float("nan"), 0.0, 0.0)}, "answers silence with numbers that are not finite"),
        ({"bias": (1.0, 0.0)}, r"returns float32 \(1, 2\); kwsd needs float32 \(1, 3\)"),
        ({"labels": ()}, "does not contain its labels: name its 3 outputs in order with  --labels a,b,…"),
        ({"labels": ("go",), "bias": (1.0,)}, "has one output: train it with a second label"),
    ],
)
def test_another_network_is_refused_with_what_was_found_and_what_to_do(
    path: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        load(path, **options)


@pytest.mark.parametrize(
    ("end", "bias", "sentence"),
    [
        ("", (507.9, 0.0), "does not answer with probabilities: its outputs are from 0 to 508"),
        ("", (-1.0, 2.0), "does not answer with probabilities: its outputs are from -1 to 2"),
        ("LOGISTIC", (1.0, 1.0), "does not answer with probabilities.* add up to 1.46 instead of 1"),
        ("", (float("inf"), 0.0), "not finite"),
    ],
)
def test_a_bundle_without_probabilities_is_refused(
    tmp_path: Path, end: str, bias: Sequence[float], sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        load_model(make_bundle(tmp_path / "bundle", make_network(bias, end)))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_part_of_a_network_is_refused(path: Path, share: float) -> None:
    content = make_network(BIAS)
    path.write_bytes(content[: round(share * len(content))])
    with pytest.raises(ModelError, match="is not a network that LiteRT can run"):
        load_model(path, LABELS)
