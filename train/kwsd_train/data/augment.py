"""Augmentation of one-second windows: where the word lies, how fast, in which room, over which noise, how loud."""

from collections.abc import Sequence
from pathlib import Path

import audiomentations
import numpy as np
import soxr

from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd_train.data.dataset import Int16
from kwsd_train.data.features import as_float
from kwsd_train.recipe import Augmentation

Rng = np.random.Generator

HALF_WORD = (0.3, 0.5)
GLUED = (0.35, 0.65)
HISS_SLOPE = (-6.0, 3.0)
"""Decibels an octave of a hiss, from Brownian noise (rumble) to blue."""
NOISE_SPEED = (0.7, 1.4)
NOISE_SHELF_HZ, NOISE_SHELF_DB = (200.0, 4000.0), (-12.0, 12.0)
ENERGY_FRAME = 160  # samples, 10 ms
OUTSIDE = 0.1
"""Share of a keyword's energy that may lie before the window, or after it; with more gone, it is another word."""


class Augmenter:
    """Applies a recipe's augmentation to windows.

    Parameters
    ----------
    settings : Augmentation
    noise, speech : sequence of ndarray, int16
        Recordings that windows are mixed with.
    rooms : sequence of Path
        Room impulse responses.
    """

    def __init__(
        self, settings: Augmentation, noise: Sequence[Int16], speech: Sequence[Int16], rooms: Sequence[Path]
    ) -> None:
        self.settings = settings
        self.noise = noise
        self.speech = speech
        self._room = audiomentations.ApplyImpulseResponse([str(room) for room in rooms], p=settings.room_share)
        lowest, highest = settings.hiss_snr_db
        self._hiss = audiomentations.AddColorNoise(lowest, highest, *HISS_SLOPE, p=settings.hiss_share)
        self._shelves = audiomentations.Compose(
            [
                audiomentations.LowShelfFilter(*NOISE_SHELF_HZ, *NOISE_SHELF_DB, p=1.0),
                audiomentations.HighShelfFilter(*NOISE_SHELF_HZ, *NOISE_SHELF_DB, p=1.0),
            ]
        )
        self._gain = audiomentations.Gain(*settings.gain_db, p=1.0)
        self._far = audiomentations.Gain(*settings.far_gain_db, p=settings.far_share)

    def __call__(self, window: Float32, rng: Rng) -> Float32:
        """A window in another room, over noise or other speech, at another level."""
        set_ = self.settings
        window = self._room(window, SAMPLE_RATE)
        if rng.random() < set_.noise_share:
            window = mix(window, self._noise_crop(rng), rng.uniform(*set_.snr_db))
        if rng.random() < set_.babble_share:
            window = mix(window, random_crop(self.speech, rng), rng.uniform(*set_.babble_snr_db))
        window = self._hiss(window, SAMPLE_RATE)
        window = self._far(self._gain(window, SAMPLE_RATE), SAMPLE_RATE)
        return np.clip(window, -1, 1)

    def _noise_crop(self, rng: Rng) -> Float32:
        """Noise as recorded, or made into another one: faster or slower, and of another colour."""
        if rng.random() >= self.settings.noise_change_share:
            return random_crop(self.noise, rng)
        factor = rng.uniform(*NOISE_SPEED)
        crop = random_crop(self.noise, rng, round(WINDOW_SAMPLES * factor))
        changed: Float32 = soxr.resample(crop, SAMPLE_RATE * factor, SAMPLE_RATE, quality="QQ")
        coloured: Float32 = self._shelves(changed, SAMPLE_RATE)
        return shift(coloured, 0)

    def change_speed(self, clip: Float32, rng: Rng) -> Float32:
        """A clip spoken faster or slower, with the pitch that follows from it."""
        if rng.random() >= self.settings.speed_share:
            return clip
        factor = rng.uniform(1 - self.settings.speed, 1 + self.settings.speed)
        changed: Float32 = soxr.resample(clip, SAMPLE_RATE * factor, SAMPLE_RATE, quality="QQ")
        return shift(changed, (WINDOW_SAMPLES - len(changed)) // 2)

    def shift_word(self, clip: Float32, rng: Rng) -> Float32:
        """A clip moved in its window as far as the recipe allows and the word stays inside."""
        first, last = word_span(clip, OUTSIDE)
        farthest = round(self.settings.shift_s * SAMPLE_RATE)
        return shift(clip, int(rng.integers(-min(farthest, first), min(farthest, WINDOW_SAMPLES - last) + 1)))

    def cut_word(self, clip: Float32, rng: Rng) -> Float32:
        """A window that holds only the first or the last 30 to 50 % of a word, as a stream shows it."""
        first, last = word_span(clip, OUTSIDE / 2)
        seen = round(rng.uniform(*HALF_WORD) * (last - first))
        return shift(clip, int(rng.choice([WINDOW_SAMPLES - (first + seen), seen - last])))

    def glue_words(self, first: Float32, second: Float32, rng: Rng) -> Float32:
        """A word that does not exist: the first part of one and the last part of another."""
        (first_begin, first_end), (second_begin, second_end) = (
            word_span(clip, OUTSIDE / 2) for clip in (first, second)
        )
        head = first[: first_begin + round(rng.uniform(*GLUED) * (first_end - first_begin))]
        tail = second[second_begin + round(rng.uniform(*GLUED) * (second_end - second_begin)) :]
        span = len(head) - first_begin + second_end - (len(second) - len(tail))
        return shift(np.concatenate([head, tail]), (WINDOW_SAMPLES - span) // 2 - first_begin)


def word_span(clip: Float32, outside: float) -> tuple[int, int]:
    """First and last sample of a word: between them lies all but a share `outside` of its energy at either end.

    The clip's own noise floor, the 20th percentile of its 10 ms frames, is taken off first.
    """
    frames = clip[: len(clip) // ENERGY_FRAME * ENERGY_FRAME].reshape(-1, ENERGY_FRAME)
    energy = np.square(frames).sum(1)
    grown = np.cumsum(np.maximum(0, energy - np.percentile(energy, 20)))
    if grown[-1] == 0:
        return 0, len(clip)
    first, last = np.searchsorted(grown / grown[-1], [outside, 1 - outside])
    return int(first) * ENERGY_FRAME, min((int(last) + 1) * ENERGY_FRAME, len(clip))


def shift(samples: Float32, offset: int) -> Float32:
    """A window in which `samples` begin at `offset`, which may be negative, with zeros around them."""
    window = np.zeros(WINDOW_SAMPLES, np.float32)
    begin, end = max(offset, 0), min(offset + len(samples), WINDOW_SAMPLES)
    if begin < end:
        window[begin:end] = samples[begin - offset : end - offset]
    return window


def mix(signal: Float32, noise: Float32, snr_db: float) -> Float32:
    """Signal and noise at a ratio of their mean powers; the signal alone where either is silent."""
    power, disturbance = float(np.square(signal).mean()), float(np.square(noise).mean())
    if power == 0 or disturbance == 0:
        return signal
    gain = np.sqrt(power / disturbance) * 10 ** (-snr_db / 20)
    return signal + noise * np.float32(gain)


def random_crop(recordings: Sequence[Int16], rng: Rng, length: int = WINDOW_SAMPLES) -> Float32:
    """`length` samples from anywhere in any recording, each recording as likely as the next."""
    recording = recordings[int(rng.integers(len(recordings)))]
    start = int(rng.integers(max(len(recording) - length, 0) + 1))
    crop = as_float(recording[start : start + length])
    return np.pad(crop, (0, length - len(crop)))
