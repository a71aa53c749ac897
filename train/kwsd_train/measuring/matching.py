"""Which detections belong to which spoken words: one to one, by label, in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass

from kwsd.frontend import SAMPLE_RATE
from kwsd.pipeline.detector import Detection

TOLERANCE = round(0.75 * SAMPLE_RATE)
"""Samples after the end of a word's clip in which its detection still counts."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word in a stream; places are samples from its start.

    Parameters
    ----------
    word : str
    start, end : int
        Of the clip, or of the mark that somebody set.
    voice_end : int
        Where the voice ends inside it: latency counts from here.
    """

    word: str
    start: int
    end: int
    voice_end: int


@dataclass(frozen=True)
class Matching:
    """What became of the words, and of the detections.

    Parameters
    ----------
    hits : list of (Spoken, Detection)
    misses : list of Spoken
        Every word without a hit.
    substitutions : list of (Spoken, Detection)
        Missed words in whose time another keyword was detected.
    false_alarms : list of Detection
        The detections that are neither.
    """

    hits: list[tuple[Spoken, Detection]]
    misses: list[Spoken]
    substitutions: list[tuple[Spoken, Detection]]
    false_alarms: list[Detection]

    @property
    def latencies_s(self) -> list[float]:
        """Seconds from the end of each word that was found to its detection."""
        return [(detection.sample - spoken.voice_end) / SAMPLE_RATE for spoken, detection in self.hits]


def match(spoken: Sequence[Spoken], detections: Sequence[Detection]) -> Matching:
    """Pair words and detections.

    A detection can belong to a word when it comes between the start of the word's clip and 0.75 s after its end. In
    order of time, each detection takes the earliest such word of its label that is still free. Each that is left over
    takes, likewise, the earliest missed word of another label, and is a substitution.

    Parameters
    ----------
    spoken : sequence of Spoken
        Keywords, in order of time. Other words are left out: what is detected on them is a false alarm.
    detections : sequence of Detection
        In order of time.
    """
    hits, others = _pair(list(spoken), detections, same_label=True)
    found = {word for word, _ in hits}
    misses = [word for word in spoken if word not in found]
    substitutions, false_alarms = _pair(misses, others, same_label=False)
    return Matching(hits, misses, substitutions, false_alarms)


def _pair(
    words: Sequence[Spoken], detections: Sequence[Detection], *, same_label: bool
) -> tuple[list[tuple[Spoken, Detection]], list[Detection]]:
    """The pairs, and the detections that found no word."""
    pairs: list[tuple[Spoken, Detection]] = []
    alone = []
    free = list(words)
    for detection in detections:
        free = [word for word in free if word.end + TOLERANCE >= detection.sample]
        word = _first(free, detection, same_label=same_label)
        if word:
            pairs.append((word, detection))
            free.remove(word)
        else:
            alone.append(detection)
    return pairs, alone


def _first(free: list[Spoken], detection: Detection, *, same_label: bool) -> Spoken | None:
    for word in free:
        if word.start > detection.sample:
            return None
        if not same_label or word.word == detection.keyword:
            return word
    return None
