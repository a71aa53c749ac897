"""Assigns detections to spoken words, one to one, by label and in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass

from kwsd.frontend import SAMPLE_RATE
from kwsd.pipeline.detector import Detection

TOLERANCE_SAMPLES = round(0.75 * SAMPLE_RATE)
"""Samples after the end of a word's clip in which a detection still belongs to the word: 0.75 s."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word in a stream; positions are samples from the start of the stream.

    Parameters
    ----------
    start, end : int
        Start and end of the clip, or of the user's mark.
    voice_end : int
        End of the voice inside the clip. Latency is counted from here.
    """

    word: str
    start: int
    end: int
    voice_end: int


@dataclass(frozen=True)
class Matching:
    """Result of assigning detections to words.

    Parameters
    ----------
    hits : list of (SpokenWord, Detection)
        Words with a detection of the same label.
    misses : list of SpokenWord
        All words without a hit.
    substitutions : list of (SpokenWord, Detection)
        Missed words with a detection of another keyword.
    false_alarms : list of Detection
        All other detections.
    """

    hits: list[tuple[SpokenWord, Detection]]
    misses: list[SpokenWord]
    substitutions: list[tuple[SpokenWord, Detection]]
    false_alarms: list[Detection]

    @property
    def latencies_s(self) -> list[float]:
        """Seconds from the end of each detected word to its detection."""
        return [(detection.sample - spoken.voice_end) / SAMPLE_RATE for spoken, detection in self.hits]


def match_detections(spoken: Sequence[SpokenWord], detections: Sequence[Detection]) -> Matching:
    """Assign detections to words.

    A detection can belong to a word if it lies between the start of the word's clip and 0.75 s after its end.

    - In order of time, each detection takes the earliest free word of its label. This is a hit.
    - Each remaining detection takes the earliest missed word of another label. This is a substitution.
    - All other detections are false alarms.

    Parameters
    ----------
    spoken : sequence of SpokenWord
        Keywords in order of time. Other words are left out, so a detection on them is a false alarm.
    detections : sequence of Detection
        Detections in order of time.
    """
    hits, others = _pair(list(spoken), detections, same_label=True)
    found = {word for word, _ in hits}
    misses = [word for word in spoken if word not in found]
    substitutions, false_alarms = _pair(misses, others, same_label=False)
    return Matching(hits, misses, substitutions, false_alarms)


def _pair(
    words: Sequence[SpokenWord], detections: Sequence[Detection], *, same_label: bool
) -> tuple[list[tuple[SpokenWord, Detection]], list[Detection]]:
    """Return the pairs, and the detections without a word."""
    pairs: list[tuple[SpokenWord, Detection]] = []
    unpaired = []
    free = list(words)
    for detection in detections:
        free = [word for word in free if word.end + TOLERANCE_SAMPLES >= detection.sample]
        word = _first_match(free, detection, same_label=same_label)
        if word:
            pairs.append((word, detection))
            free.remove(word)
        else:
            unpaired.append(detection)
    return pairs, unpaired


def _first_match(free: list[SpokenWord], detection: Detection, *, same_label: bool) -> SpokenWord | None:
    for word in free:
        if word.start > detection.sample:  # the words are in order of time, so no later word can match
            return None
        if not same_label or word.word == detection.keyword:
            return word
    return None
