"""Streams of words with known times. The streams are built from clips or read from a user's marked recordings.

The construction of the streams follows TensorFlow's ``generate_streaming_test_wav``, with four additions:

- All words in a stream have an equal sound level.
- The signal-to-noise ratio of the words is known.
- A room impulse response can be applied to the words.
- The time at which the voice ends is known for each word.
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
from kwsd_train.data.dataset import ClipSet
from kwsd_train.data.features import as_float
from kwsd_train.data.layout import audio_files
from kwsd_train.data.recording import Int16, read_recording
from kwsd_train.measuring.matching import TOLERANCE_SAMPLES, SpokenWord

GAP_S = (0.5, 3.0)
"""Shortest and longest gap between two words of a stream, in seconds."""
UNKNOWN_EVERY = 3
"""After this many keywords, a stream contains one word that is not a keyword."""
LEVEL = 10 ** (-26 / 20)
"""Root mean square of every word in a stream: 26 dB below full scale.

The level of 26 dB below full scale is the level of telephone speech in ITU-T P.830.
"""
NOISE_CROP = 10 * SAMPLE_RATE
"""Length of a piece of noise, in samples: 10 s."""
FADE = SAMPLE_RATE // 100
"""Length of the fade-in and of the fade-out of a clip, in samples: 10 ms, which is enough to avoid clicks."""
VOICE_OUTSIDE_SHARE = 0.02
"""Maximum share of a word's energy that may follow the located end of the voice."""


class StreamCondition(NamedTuple):
    """Acoustic condition of a stream.

    Parameters
    ----------
    snr_db : float or None
        Signal-to-noise ratio of the words in dB. None means a stream without noise.
    room : bool
        Whether a room impulse response is applied to each word.
    """

    name: str
    snr_db: float | None
    room: bool = False


CONDITIONS = (
    StreamCondition("clean", None),
    StreamCondition("20 dB", 20),
    StreamCondition("10 dB", 10),
    StreamCondition("5 dB", 5),
    StreamCondition("room, 20 dB", 20, room=True),
)


@dataclass(frozen=True)
class WordStream:
    """An audio stream with a list of its words in order of time, including words that are not keywords.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32
        Audio samples at 16 kHz, mono, in [-1, 1].
    """

    name: str
    samples: Float32
    spoken: list[SpokenWord]


@dataclass(frozen=True)
class StreamBuilder:
    """Builds one stream for each acoustic condition. All streams contain identical words in an identical order.

    Parameters
    ----------
    clips : ClipSet
        Clips of speakers that the model was not trained on.
    keywords : sequence of str
        Keywords of the streams. Keywords without a clip are left out. After every third keyword, a stream contains one
        word that is not a keyword.
    noise : sequence of ndarray, int16
        Recordings of noise that the model was not trained on.
    rooms : sequence of Path
        Paths of files with room impulse responses.
    per_keyword : int
        Maximum number of clips of each keyword in a stream.
    seed : int
        Seed of the random order of the words, the random gaps and the random noise. A word often occurs twice in a row.
    """

    clips: ClipSet
    keywords: Sequence[str]
    noise: Sequence[Int16]
    rooms: Sequence[Path]
    per_keyword: int
    seed: int

    def build_all(self) -> Iterator[WordStream]:
        """Build a stream for each acoustic condition for which the needed recordings are available."""
        for condition in CONDITIONS:
            if (self.noise or condition.snr_db is None) and (self.rooms or not condition.room):
                yield self.build_stream(condition)

    def build_stream(self, condition: StreamCondition) -> WordStream:
        """Build the stream for one acoustic condition."""
        rng = np.random.default_rng(self.seed)
        room = self._make_room() if condition.room else None
        pieces, spoken, place = [], [], 0
        for index in self._draw_order(rng):
            # Short clips were padded with zeros, which would lengthen the gaps.
            clip = as_float(np.trim_zeros(self.clips.samples[index], "b"))
            voice = word_span(clip, VOICE_OUTSIDE_SHARE)
            gap = round(rng.uniform(*GAP_S) * SAMPLE_RATE)
            start, place = place + gap, place + gap + len(clip)
            spoken.append(SpokenWord(str(self.clips.words[index]), start, place, start + voice[1]))
            pieces += [np.zeros(gap, np.float32), _set_level(room(clip, SAMPLE_RATE) if room else clip, voice)]
        # The last word needs time for its detection.
        samples = np.concatenate([*pieces, np.zeros(TOLERANCE_SAMPLES, np.float32)])
        if condition.snr_db is not None:
            samples += noise_track(self.noise, len(samples), rng) * np.float32(LEVEL * 10 ** (-condition.snr_db / 20))
        return WordStream(condition.name, np.clip(samples, -1, 1), spoken)

    def _make_room(self) -> Any:
        random.seed(self.seed)  # audiomentations draws from Python's global generator
        return audiomentations.ApplyImpulseResponse([str(path) for path in self.rooms], p=1.0)

    def _draw_order(self, rng: Rng) -> list[int]:
        """Return the indices of randomly chosen clips in the order of the stream."""
        words = self.clips.words
        known = [of_word for word in self.keywords if len(of_word := np.flatnonzero(words == word))]
        if not known:
            raise UsageError(f"there is no clip of {', '.join(self.keywords)} for a stream")
        drawn = rng.permutation(np.concatenate([rng.permutation(of_word)[: self.per_keyword] for of_word in known]))
        others = rng.permutation(np.flatnonzero(~np.isin(words, list(self.keywords))))
        # If too few clips of other words exist, the clips are repeated.
        between = np.resize(others, len(drawn) // UNKNOWN_EVERY if len(others) else 0)
        order: list[int] = np.insert(drawn, UNKNOWN_EVERY * np.arange(1, len(between) + 1), between).tolist()
        return order


def noise_track(noise: Sequence[Int16], length: int, rng: Rng) -> Float32:
    """Return a noise signal of a given length, joined from random pieces of the recordings.

    Each piece of noise has a root mean square of one.
    """
    return np.concatenate(list(_noise_pieces(noise, length, rng)))


def read_marked_recordings(folder: Path) -> list[WordStream]:
    """Read the recordings of a folder for which a CSV file marks the words.

    The CSV file has the name of the recording and the columns word, start_s and end_s.

    Raises
    ------
    AudioDataError
        A recording or its CSV file cannot be used.
    """
    paths = [path for path in audio_files(folder) if path.with_suffix(".csv").is_file()]
    return [
        WordStream(path.stem, as_float(read_recording(path)), _read_marks(path.with_suffix(".csv"))) for path in paths
    ]


def _read_marks(path: Path) -> list[SpokenWord]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return sorted((_parse_mark(row) for row in csv.DictReader(file)), key=lambda spoken: spoken.start)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise AudioDataError(
            f"{path} cannot be read as a table with the columns word, start_s and end_s: {error!r}"
        ) from None


def _parse_mark(row: dict[str, str]) -> SpokenWord:
    start, end = (round(float(row[name]) * SAMPLE_RATE) for name in ("start_s", "end_s"))
    return SpokenWord(row["word"], start, end, end)


def _set_level(clip: Float32, voice: tuple[int, int]) -> Float32:
    """Scale a clip so that its voice has the level `LEVEL`, and fade the clip in and out."""
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
        if power:  # digital silence has no level to scale
            length -= len(piece)
            yield piece / np.float32(np.sqrt(power))
