"""Text from outside on its way to a terminal or a log."""

import datetime

import pytest

from kwsd.system.text import clean_lines, clean_text, format_local_time


@pytest.mark.parametrize(
    "character",
    [
        *("\0", "\t", "\n", "\r", "\x1b", "\x7f", "\x80", "\x85", "\x9b", "\u2028", "\u2029", "\ud800", "\udcff"),
        *("\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\ufeff", "\U000e0001"),
    ],
)
def test_a_character_that_could_damage_a_terminal_becomes_a_question_mark(character: str) -> None:
    assert clean_text(f"go{character}stop") == "go?stop"


@pytest.mark.parametrize(
    "text", ["", "go", "größer", "行く", "a\u00a0b", "a\u3000b", "👩\u200d🔧", "\u0645\u06cc\u200c\u062e"]
)
def test_text_of_any_language_stays(text: str) -> None:
    assert clean_text(text) == text


def test_lines_stay_lines() -> None:
    assert clean_lines("one\ntwo\r\x1b[2J\n") == "one\ntwo??[2J\n"


@pytest.mark.parametrize("year", [1, 2026, 9999])
def test_a_time_of_any_year_has_a_text(year: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC+12" if year == 1 else "UTC-12")
    first_or_last = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) if year == 1 else None
    time = first_or_last or datetime.datetime(year, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
    assert format_local_time(time)[2] == ":"
