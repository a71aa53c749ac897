"""What the pages refer to exists: other pages, headings, files and tests."""

import re
from pathlib import Path

import pytest
from reference import ROOT

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    ROOT / "examples" / "README.md",
    ROOT / "benchmarks" / "README.md",
]
ALL_TESTS = "".join(path.read_text("utf-8") for path in sorted(ROOT.glob("tests/**/test_*.py")))
CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+://)([^)\s]*)\)", CODE_BLOCK.sub("", page.read_text("utf-8")))
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_test_and_module_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    for path in re.findall(r"`(?:\S*python )?((?:tests|kwsd|train|benchmarks|scripts|systemd)/[\w/-]+\.\w+)", text):
        assert (ROOT / path).exists(), path
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert f"def {name}(" in (ROOT / path).read_text("utf-8"), name
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in ALL_TESTS, name


@pytest.mark.parametrize("folder", [ROOT / "docs", ROOT / "docs" / "decisions"], ids=page_id)
def test_an_index_has_every_page_of_its_folder(folder: Path) -> None:
    linked = re.findall(r"\]\(([^)#]+)", (folder / "index.md").read_text("utf-8"))
    pages = {page for page in folder.glob("*.md") if page.name != "index.md"}
    assert pages <= {(folder / link).resolve() for link in linked}


def test_the_table_of_rooms_has_every_room_and_only_modules_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {match[1]: match[2] for match in re.finditer(r"^\| `(kwsd/\w+)/` \| ([^\n]*)", page, re.MULTILINE)}
    assert set(rooms) == {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("kwsd/*/__init__.py")}
    for room, row in rooms.items():
        assert [name for name in re.findall(r"`(\w+\.py)`", row) if not (ROOT / room / name).exists()] == []
