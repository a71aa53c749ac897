"""The script that lists long sentences counts prose, and only prose."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from count_sentences import ROOT, count_words, main, read_sentences

WORDS = " ".join(f"w{number}" for number in range(1, 27))
"""One word more than a sentence may have."""


def sentences(folder: Path, text: str, suffix: str = ".md") -> list[tuple[int, str]]:
    path = folder / f"page{suffix}"
    path.write_text(text)
    return [(line, " ".join(sentence.split())) for line, sentence in read_sentences(path)]


def test_a_paragraph_is_cut_into_sentences_with_their_lines(tmp_path: Path) -> None:
    assert sentences(tmp_path, "# Title\n\nOne two\nthree. kwsd runs! Is it\nso?\n") == [
        (1, "Title"),
        (3, "One two three."),
        (4, "kwsd runs!"),
        (4, "Is it so?"),
    ]


def test_an_abbreviation_a_number_and_a_file_name_do_not_end_a_sentence(tmp_path: Path) -> None:
    assert len(sentences(tmp_path, "See e.g. bundle.json, 0.5 MB of it.")) == 1


def test_list_items_and_table_cells_are_sentences(tmp_path: Path) -> None:
    text = "- one\n  goes on\n- two\n\n1. three\n\n| a | b \\| c |\n|---|:-:|\n| d | e |\n"
    found = [sentence for _, sentence in sentences(tmp_path, text)]
    assert found == ["one goes on", "two", "three", "a", "b \\| c", "d", "e"]


@pytest.mark.parametrize(
    "text",
    [f"```sh\n{WORDS}\n```\n", f"`{WORDS}`", f"``{WORDS}``", f"<!-- {WORDS}\n{WORDS} -->", f"[one](x/{WORDS[:2]})"],
)
def test_code_comments_and_targets_of_links_do_not_count(tmp_path: Path, text: str) -> None:
    assert all(count_words(sentence) <= 1 for _, sentence in sentences(tmp_path, text))


def test_a_code_span_over_two_lines_is_one_word_and_keeps_the_line_numbers(tmp_path: Path) -> None:
    assert sentences(tmp_path, "Run `kwsd\nrun`. Then\nstop.") == [(1, "Run Code ."), (2, "Then stop.")]


def test_docstrings_of_modules_functions_and_constants_are_read(tmp_path: Path) -> None:
    code = '''"""Module."""

A = 1
"""Constant."""


def f(x):
    """Do it.

    Parameters
    ----------
    x : int
        A number
        of things.

    Examples
    --------
    >>> f(1)
    2

    The tree::

        not prose
    """
    return "not a docstring. Nor this."
'''
    found = sorted(sentences(tmp_path, code, ".py"))
    assert found == [
        (1, "Module."),
        (4, "Constant."),
        (8, "Do it."),
        (10, "Parameters"),
        (12, "x : int"),
        (13, "A number of things."),
        (16, "Examples"),
        (21, "The tree::"),
    ]


def test_punctuation_alone_is_not_a_word() -> None:
    assert count_words("a — b / c, d-e 1,796 x/y …") == 6


def test_a_sentence_of_26_words_is_listed_and_one_of_25_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Short.\n\n{WORDS}.")
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{page}:3: 26 words: {WORDS}.\n"
    page.write_text(WORDS.removesuffix(" w26"))
    assert main([str(page)]) == 0
    assert capsys.readouterr().out == ""


def test_without_a_path_it_reads_the_packages_and_the_pages() -> None:
    script = ROOT / "scripts" / "count_sentences.py"
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, cwd="/")
    lines = run.stdout.splitlines()
    assert all(re.match(r"[\w./-]+:\d+: \d\d+ words: ", line) for line in lines)
    assert run.stderr == f"{len(lines)} sentences of more than 25 words\n"
    assert run.returncode == bool(lines)
