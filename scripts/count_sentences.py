#!/usr/bin/env python3
"""Lists the sentences of more than 25 words in docstrings and in Markdown pages, and exits with 1 if there are any.

usage: count_sentences.py [PATH…]

A PATH is a Python module, a Markdown page, or a folder of them. Without one the script reads the docstrings of both
packages and every page that a person writes or reads. Code blocks do not count. A table cell, a list item and a heading
are sentences. A code span and a URL are one word.
"""

import ast
import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

LONGEST = 25
"""Words in the longest sentence that passes. Longer ones usually hold two ideas."""

ROOT = Path(__file__).parents[1]

DEFAULT_PATHS = ["kwsd", "train/kwsd_train", "docs", "examples/README.md", "benchmarks/README.md", "*.md"]

ABBREVIATIONS = ("e.g.", "i.e.", "et al.", "cf.", "vs.", "approx.")
"""Words whose dot does not end a sentence."""

LIST_ITEM = re.compile(r"(?:[-*+]|\d+[.)])\s+")
UNDERLINE = re.compile(r"[-=~]{3,}$")
TABLE_RULE = re.compile(r"\|[\s:|-]+\|$")

Line = tuple[int, str]
"""A line of text with its number in the file."""


def main(arguments: list[str]) -> int:
    """Print each sentence that is too long, and return the exit code."""
    paths = [Path(each) for each in arguments] or [path for each in DEFAULT_PATHS for path in sorted(ROOT.glob(each))]
    found = 0
    for path in chain.from_iterable(map(list_files, paths)):
        for line, sentence in read_sentences(path):
            words = count_words(sentence)
            if words > LONGEST:
                found += 1
                print(f"{_shorten(path)}:{line}: {words} words: {' '.join(sentence.split())}")
    print(f"{found} sentences of more than {LONGEST} words", file=sys.stderr)
    return 1 if found else 0


def list_files(path: Path) -> list[Path]:
    """Return the modules and pages in a folder, or the file itself."""
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.suffix in {".py", ".md"})
    return [path]


def read_sentences(path: Path) -> Iterator[Line]:
    """Yield each sentence of a file with the number of its first line."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        blocks = chain.from_iterable(split_blocks(lines, indentation_splits=True) for lines in read_docstrings(text))
    else:
        lines = re.sub(r"<!--.*?-->", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL).splitlines()
        blocks = split_blocks(list(enumerate(lines, 1)), indentation_splits=False)
    for block in blocks:
        yield from split_sentences(block)


def read_docstrings(source: str) -> Iterator[list[Line]]:
    """Yield the lines of each docstring of a module, those under its constants included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            first, *rest = node.value.value.splitlines() or [""]
            margin = min((_indentation(line) for line in rest if line.strip()), default=0)
            yield list(enumerate([first.strip(), *(line[margin:] for line in rest)], node.lineno))


def split_blocks(lines: list[Line], *, indentation_splits: bool) -> Iterator[list[Line]]:
    """Yield paragraphs, list items, headings and table cells, without code.

    Parameters
    ----------
    indentation_splits
        Whether a change of indentation begins a new block. It does in a docstring, where a parameter's description is
        indented. It does not in Markdown.
    """
    block: list[Line] = []
    margin = 0
    for number, line in blank_out_code(lines):
        text = line.strip()
        item = LIST_ITEM.match(text)
        moved = indentation_splits and _indentation(line) != margin
        if not text or item or moved or text.startswith(("|", "#")) or UNDERLINE.match(text):
            yield block
            block = []
            margin = _indentation(line) + (item.end() if item else 0)
        if text.startswith("|"):
            cells = [] if TABLE_RULE.match(text) else re.split(r"(?<!\\)\|", text)
            yield from ([(number, cell)] for cell in cells)
        elif not UNDERLINE.match(text):
            block.append((number, LIST_ITEM.sub("", text, count=1) if item else text.lstrip("#> ")))
    yield block


def blank_out_code(lines: list[Line]) -> Iterator[Line]:
    """Yield the lines with fenced blocks, blocks after ``::`` and doctests replaced by empty lines."""
    fenced = False
    doctest = False
    literal: int | None = None
    for number, line in lines:
        text = line.strip()
        fence = text.startswith(("```", "~~~"))
        fenced ^= fence
        doctest = bool(text) and (doctest or text.startswith(">>>"))
        if literal is not None and text and _indentation(line) <= literal:
            literal = None
        yield number, "" if fence or fenced or doctest or literal is not None else line
        if text.endswith("::"):
            literal = _indentation(line)


def split_sentences(block: list[Line]) -> Iterator[Line]:
    """Yield each sentence of a block with the number of its first line."""
    text = "\n".join(text for _, text in block)
    text = re.sub(r"(`+).+?\1", lambda span: "Code" + "\n" * span[0].count("\n"), text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)\s]*\)", "]", text)
    start = 0
    for end in re.finditer(r"[.!?][\"'”)\]*_]*(?=\s|$)", text):
        sentence = text[start : end.end()]
        if not sentence.endswith(ABBREVIATIONS):
            yield _first_line(block, text, start), sentence
            start = end.end()
    if text[start:].strip():
        yield _first_line(block, text, start), text[start:]


def count_words(sentence: str) -> int:
    """Count what holds a letter or a digit, between white space."""
    return sum(any(character.isalnum() for character in word) for word in sentence.split())


def _first_line(block: list[Line], text: str, start: int) -> int:
    while text[start].isspace():
        start += 1
    return block[text.count("\n", 0, start)][0]


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _shorten(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_absolute() and path.is_relative_to(ROOT) else path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
