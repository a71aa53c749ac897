"""Labels are checked at one place, whether they come from a bundle, the command line or a graph."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.networks import make_bundle, make_network

from kwsd import load_model
from kwsd.errors import ModelError
from kwsd.models.bundle import check_labels

BAD_LABELS = [
    (["go", ""], "'' is empty"),
    (["go", " stop"], "begins or ends with a space"),
    (["go", "a\rb"], "characters that cannot be printed"),
    (["go", "a\x1b[31mb"], "characters that cannot be printed"),
    (["go", "a\u2028b"], "characters that cannot be printed"),
    (["go", "a\x85b"], "characters that cannot be printed"),
    (["go", "a\0b"], "characters that cannot be printed"),
    (["go", "a\ud800b"], "characters that cannot be printed"),
    (["go", "../go"], "a slash, comma, equals sign or star"),
    (["go", "a=b"], "a slash, comma, equals sign or star"),
    (["go", "a,b"], "a slash, comma, equals sign or star"),
    (["go", "*"], "a slash, comma, equals sign or star"),
    (["go", "x" * 71], "is longer than 70 bytes"),
    (["go", "ж" * 36], "is longer than 70 bytes"),
    (["go", "_background_noise_"], "is a folder of noise, not a word: .* --labels, and this one _silence_"),
    (["go", "Background Noise"], "is a folder of noise"),
    (["go", "README.md"], "is the name of a file"),
    (["go", "LICENSE"], "is the name of a file"),
    (["go", "validation_list.txt"], "is the name of a file"),
    (["go", ".DS_Store"], "is the name of a file"),
    (["go", ".."], "is the name of a file"),
    (["go", "go"], "a label occurs twice: 'go'"),
    (["_silence_", "_unknown_"], "has no keyword among its labels: _silence_ _unknown_"),
    ([], "has no keyword among its labels: there are none"),
]


@pytest.mark.parametrize(("labels", "sentence"), BAD_LABELS)
def test_a_label_that_cannot_be_a_keyword_is_refused(labels: Sequence[str], sentence: str) -> None:
    with pytest.raises(ModelError, match=f"^mine.*{sentence}"):
        check_labels(labels, "mine")


def test_words_of_any_language_are_labels() -> None:
    labels = ("hey kwsd", "vor", "zurück", "да", "你好", "don't", "a-b", "go_2", "_silence_", "license", "_other_")
    assert check_labels(labels, "mine") == labels


@pytest.mark.parametrize("labels", [["go", "_background_noise_"], ["go", "go"], ["go", "README.md"]])
def test_the_labels_of_a_bundle_and_of_the_command_line_are_checked(tmp_path: Path, labels: list[str]) -> None:
    network = make_network((1.0, 0.0), "SOFTMAX")
    (tmp_path / "words.tflite").write_bytes(network)
    with pytest.raises(ModelError, match="label"):
        load_model(tmp_path / "words.tflite", labels)
    with pytest.raises(ModelError, match="label"):
        load_model(make_bundle(tmp_path / "bundle", network, labels))
