"""Streams of words with known times, built from held-out clips or read from a user's recordings.

The protocol follows TensorFlow's ``generate_streaming_test_wav``, and adds what it leaves out: a common level of the
words, noise at a known ratio, rooms, and the time at which each voice ends.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import audiomentations
import numpy as np

from kwsd.errors import AudioDataError, UsageError
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd_train.data.augment import Rng, word_span
from kwsd_train.data.dataset import Clips, Int16, audio_files, read_recording
from kwsd_train.data.features import as_float
from kwsd_train.measuring.matching import TOLERANCE, Spoken

GAP_S = (0.5, 3.0)
UNKNOWN_EVERY = 3
"""Keywords a word that is none."""
LEVEL = 10 ** (-26 / 20)
"""Root mean square of every word: 26 dB below full scale, the level of telephone speech in ITU-T P.830."""
NOISE_CROP = 10 * SAMPLE_RATE
FADE = SAMPLE_RATE // 100
VOICE_OUTSIDE = 0.02
"""Share of a word's energy that may follow the place where its voice is said to end."""


class Condition(NamedTuple):
    """What the words of a stream are heard through.

    Parameters
    ----------
    name : str
    snr_db : float or None
        Power of the words over that of the noise; None for no noise.
    room : bool
        Whether each word is said in a room.
    """

    name: str
    snr_db: float | None
    room: bool = False


CONDITIONS = (
    Condition("clean", None),
    Condition("20 dB", 20),
    Condition("10 dB", 10),
    Condition("5 dB", 5),
    Condition("room, 20 dB", 20, room=True),
)


@dataclass(frozen=True)
class Stream:
    """A stream and the words in it, in order of time; other words than keywords among them."""

    name: str
    samples: Float32
    spoken: list[Spoken]


@dataclass(frozen=True)
class Builder:
    """Builds streams of the same words in the same order, under different conditions.

    Parameters
    ----------
    clips : Clips
        Of speakers that the model has not heard.
    keywords : sequence of str
        Those without a clip are left out. A clip of any other word follows every third keyword.
    noise : sequence of ndarray, int16
        Recordings that the model has not heard.
    rooms : sequence of Path
        Room impulse responses.
    per_keyword : int
        Clips of each keyword at most.
    seed : int
        Of the order, in which the same word often comes twice in a row, of the gaps, and of the noise.
    """

    clips: Clips
    keywords: Sequence[str]
    noise: Sequence[Int16]
    rooms: Sequence[Path]
    per_keyword: int
    seed: int

    def streams(self) -> Iterator[Stream]:
        """A stream for each condition for which there are recordings."""
        for condition in CONDITIONS:
            if (self.noise or condition.snr_db is None) and (self.rooms or not condition.room):
                yield self.build(condition)

    def build(self, condition: Condition) -> Stream:
        """The stream of a condition."""
        rng = np.random.default_rng(self.seed)
        room = self._room() if condition.room else None
        pieces, spoken, place = [], [], 0
        for index in self._order(rng):
            clip = as_float(np.trim_zeros(self.clips.samples[index], "b"))
            voice = word_span(clip, VOICE_OUTSIDE)
            gap = round(rng.uniform(*GAP_S) * SAMPLE_RATE)
            start, place = place + gap, place + gap + len(clip)
            spoken.append(Spoken(str(self.clips.words[index]), start, place, start + voice[1]))
            pieces += [np.zeros(gap, np.float32), _at_level(room(clip, SAMPLE_RATE) if room else clip, voice)]
        samples = np.concatenate([*pieces, np.zeros(TOLERANCE, np.float32)])
        if condition.snr_db is not None:
            samples += noise_track(self.noise, len(samples), rng) * np.float32(LEVEL * 10 ** (-condition.snr_db / 20))
        return Stream(condition.name, np.clip(samples, -1, 1), spoken)

    def _room(self) -> Any:
        random.seed(self.seed)  # audiomentations draws from Python's own generator
        return audiomentations.ApplyImpulseResponse([str(path) for path in self.rooms], p=1.0)

    def _order(self, rng: Rng) -> list[int]:
        """Clips in the order of the stream."""
        words = self.clips.words
        known = [of_word for word in self.keywords if len(of_word := np.flatnonzero(words == word))]
        if not known:
            raise UsageError(f"there is no clip of {', '.join(self.keywords)} for a stream")
        drawn = rng.permutation(np.concatenate([rng.permutation(of)[: self.per_keyword] for of in known]))
        others = rng.permutation(np.flatnonzero(~np.isin(words, list(self.keywords))))
        between = np.resize(others, len(drawn) // UNKNOWN_EVERY if len(others) else 0)
        order: list[int] = np.insert(drawn, UNKNOWN_EVERY * np.arange(1, len(between) + 1), between).tolist()
        return order


def noise_track(noise: Sequence[Int16], length: int, rng: Rng) -> Float32:
    """Noise of any length with a root mean square of one: ten-second pieces from anywhere, each at that level."""
    return np.concatenate(list(_noise_pieces(noise, length, rng)))


def read_marked(folder: Path) -> list[Stream]:
    """Streams that a user has marked: each recording beside a CSV of its name with the columns word, start_s and end_s.

    Raises
    ------
    AudioDataError
        A recording or its CSV cannot be used.
    """
    paths = [path for path in audio_files(folder) if path.with_suffix(".csv").is_file()]
    return [Stream(path.stem, as_float(read_recording(path)), _read_marks(path.with_suffix(".csv"))) for path in paths]


def _read_marks(path: Path) -> list[Spoken]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return sorted((_mark(row) for row in csv.DictReader(file)), key=lambda spoken: spoken.start)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise AudioDataError(f"{path} is no table with the columns word, start_s and end_s: {error!r}") from None


def _mark(row: dict[str, str]) -> Spoken:
    start, end = (round(float(row[name]) * SAMPLE_RATE) for name in ("start_s", "end_s"))
    return Spoken(row["word"], start, end, end)


def _at_level(clip: Float32, voice: tuple[int, int]) -> Float32:
    """A clip whose voice has the common level, with short ramps where it begins and ends."""
    power = float(np.square(clip[slice(*voice)]).mean())
    levelled = clip * np.float32(LEVEL / np.sqrt(power)) if power else clip.copy()
    ramp = np.linspace(0, 1, min(FADE, len(clip)), dtype=np.float32)
    levelled[: len(ramp)] *= ramp
    levelled[-len(ramp) :] *= ramp[::-1]
    return levelled


def _noise_pieces(noise: Sequence[Int16], length: int, rng: Rng) -> Iterator[Float32]:
    while length > 0:
        recording = noise[int(rng.integers(len(noise)))]
        start = int(rng.integers(max(len(recording) - NOISE_CROP, 0) + 1))
        piece = as_float(recording[start : start + min(NOISE_CROP, length)])
        power = float(np.square(piece).mean())
        if power:
            length -= len(piece)
            yield piece / np.float32(np.sqrt(power))
