"""Assignment of detections to spoken words, one to one, by label and in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass

from kwsd.frontend import SAMPLE_RATE
from kwsd.pipeline.detector import Detection

TOLERANCE_SAMPLES = round(0.75 * SAMPLE_RATE)
"""A detection can belong to a word until this many samples (0.75 s) after the end of the word's clip."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word in a stream. The positions of the word are counted in samples from the start of the stream.

    Parameters
    ----------
    start, end : int
        Start and end of the clip, or the start and end that the user marked.
    voice_end : int
        End of the voice inside the clip. Latency is measured from the end of the voice.
    """

    word: str
    start: int
    end: int
    voice_end: int


@dataclass(frozen=True)
class Matching:
    """Result of the assignment of detections to words.

    Parameters
    ----------
    hits : list of (SpokenWord, Detection)
        Spoken words whose keyword was detected, with the detections.
    misses : list of SpokenWord
        Spoken words whose keyword was not detected.
    substitutions : list of (SpokenWord, Detection)
        Missed words during which another keyword was detected, with the detection.
    false_alarms : list of Detection
        Detections that are neither hits nor substitutions.
    """

    hits: list[tuple[SpokenWord, Detection]]
    misses: list[SpokenWord]
    substitutions: list[tuple[SpokenWord, Detection]]
    false_alarms: list[Detection]

    @property
    def latencies_s(self) -> list[float]:
        """Latencies: seconds from the end of each detected word's voice to its detection."""
        return [(detection.sample - spoken.voice_end) / SAMPLE_RATE for spoken, detection in self.hits]


def match_detections(spoken: Sequence[SpokenWord], detections: Sequence[Detection]) -> Matching:
    """Assign detections to spoken words.

    A detection can belong to a word from the start of the word's clip until 0.75 s after the end of the clip.

    - In order of time, each detection is assigned to the earliest unassigned word with its label. The detection and
      this word form a hit.
    - Each remaining detection is assigned to the earliest missed word with another label. The detection and this missed
      word form a substitution.
    - Detections that are neither hits nor substitutions are false alarms.

    Parameters
    ----------
    spoken : sequence of SpokenWord
        Spoken keywords in order of time. The sequence does not contain words that are not keywords. Therefore a
        detection during a word that is not a keyword is a false alarm.
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
    """Return the pairs of words and detections, and the detections that were not assigned to a word."""
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
