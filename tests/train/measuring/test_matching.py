"""Assignment of detections to words."""

import pytest

from kwsd.pipeline.detector import Detection
from kwsd_train.measuring.matching import SpokenWord, match_detections

SECOND = 16_000


def spoken(word: str, start_s: float, voice_end_s: float | None = None) -> SpokenWord:
    start = round(start_s * SECOND)
    return SpokenWord(word, start, start + SECOND, round((voice_end_s or start_s + 0.8) * SECOND))


def detected(keyword: str, at_s: float) -> Detection:
    return Detection(keyword, 0.9, round(at_s * SECOND))


@pytest.mark.parametrize(("at_s", "hits"), [(0.99, 0), (1.0, 1), (2.75, 1), (2.76, 0)])
def test_a_detection_counts_from_the_start_of_the_clip_until_three_quarters_of_a_second_after_it(
    at_s: float, hits: int
) -> None:
    found = match_detections([spoken("yes", 1)], [detected("yes", at_s)])
    assert len(found.hits) == hits
    assert len(found.false_alarms) == len(found.misses) == 1 - hits


def test_the_same_word_twice_needs_two_detections() -> None:
    words = [spoken("go", 1), spoken("go", 2.5)]
    once = match_detections(words, [detected("go", 2.6)])
    assert once.hits == [(words[0], detected("go", 2.6))]
    assert once.misses == [words[1]]
    twice = match_detections(words, [detected("go", 2.0), detected("go", 2.6)])
    assert [word for word, _ in twice.hits] == words


def test_a_second_detection_of_one_word_is_a_false_alarm() -> None:
    found = match_detections([spoken("up", 1)], [detected("up", 1.5), detected("up", 2.3)])
    assert len(found.hits) == 1
    assert found.false_alarms == [detected("up", 2.3)]


def test_another_keyword_in_the_time_of_a_missed_word_is_a_substitution() -> None:
    found = match_detections([spoken("no", 1)], [detected("go", 2)])
    assert found.misses == [spoken("no", 1)]
    assert found.substitutions == [(spoken("no", 1), detected("go", 2))]
    assert found.false_alarms == []


def test_another_keyword_in_the_time_of_a_word_that_was_found_is_a_false_alarm() -> None:
    found = match_detections([spoken("no", 1)], [detected("go", 1.5), detected("no", 2)])
    assert found.substitutions == []
    assert found.false_alarms == [detected("go", 1.5)]


def test_a_detection_takes_the_word_of_its_label_and_not_the_first_in_reach() -> None:
    words = [spoken("left", 1), spoken("right", 2.2)]
    found = match_detections(words, [detected("right", 2.6)])
    assert found.hits == [(words[1], detected("right", 2.6))]
    assert found.misses == [words[0]]


def test_latency_counts_from_the_end_of_the_voice() -> None:
    found = match_detections([spoken("stop", 1, voice_end_s=1.6)], [detected("stop", 1.85)])
    assert found.latencies_s == [pytest.approx(0.25)]
