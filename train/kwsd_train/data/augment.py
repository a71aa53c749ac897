"""Augmentation of one-second windows.

The augmentation changes the word's position, the speed, the room, the noise and the level.
"""

from collections.abc import Sequence
from pathlib import Path

import audiomentations
import numpy as np
import soxr

from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32
from kwsd_train.data.features import as_float
from kwsd_train.data.recording import Int16
from kwsd_train.recipe import Augmentation

Rng = np.random.Generator

HALF_WORD_SHARE = (0.3, 0.5)
"""Lowest and highest share of a word's length that `Augmenter.cut_word` keeps."""
GLUE_POINT = (0.35, 0.65)
"""Range of the positions at which `Augmenter.glue_words` cuts each word, as shares of the word's length."""
HISS_SLOPE_DB = (-6.0, 3.0)
"""Range of the spectral slope of artificial hiss in dB per octave, from Brownian noise to blue noise."""
NOISE_SPEED = (0.7, 1.4)
"""Range of the factors by which the speed of a noise is changed."""
NOISE_SHELF_HZ, NOISE_SHELF_DB = (200.0, 4000.0), (-12.0, 12.0)
"""Ranges of the corner frequency and the gain of the shelving filters that change a noise."""
ENERGY_FRAME = 160
"""Step, in samples, of the search for the start and end of a word: 10 ms."""
OUTSIDE_SHARE = 0.1
"""Share of a keyword's energy that may lie before or after the window.

If a window lacks a larger share of a keyword's energy, it may sound like a different word.
"""


class Augmenter:
    """Applies the augmentation settings of a recipe to one-second windows.

    Parameters
    ----------
    noise, speech : sequence of ndarray, int16
        Recordings of noise and of speech that are mixed into the windows.
    rooms : sequence of Path
        Files of room impulse responses. The list of room files may be empty if the recipe's `room_share` is zero.
    """

    def __init__(
        self, settings: Augmentation, noise: Sequence[Int16], speech: Sequence[Int16], rooms: Sequence[Path]
    ) -> None:
        self.settings = settings
        self.noise = noise
        self.speech = speech
        room_files = [str(room) for room in rooms]
        self._room = (
            audiomentations.ApplyImpulseResponse(room_files, p=settings.room_share) if settings.room_share else None
        )
        lowest, highest = settings.hiss_snr_db
        self._hiss = audiomentations.AddColorNoise(lowest, highest, *HISS_SLOPE_DB, p=settings.hiss_share)
        self._shelves = audiomentations.Compose(
            [
                audiomentations.LowShelfFilter(*NOISE_SHELF_HZ, *NOISE_SHELF_DB, p=1.0),
                audiomentations.HighShelfFilter(*NOISE_SHELF_HZ, *NOISE_SHELF_DB, p=1.0),
            ]
        )
        self._gain = audiomentations.Gain(*settings.gain_db, p=1.0)
        self._far = audiomentations.Gain(*settings.far_gain_db, p=settings.far_share)

    def __call__(self, window: Float32, rng: Rng) -> Float32:
        """Return the window, shape (16000,), with random room acoustics, noise, other speech and level."""
        settings = self.settings
        if self._room:
            window = self._room(window, SAMPLE_RATE)
        if rng.random() < settings.noise_share:
            window = mix_at_snr(window, self._draw_noise(rng), rng.uniform(*settings.snr_db))
        if rng.random() < settings.babble_share:
            window = mix_at_snr(window, random_crop(self.speech, rng), rng.uniform(*settings.babble_snr_db))
        window = self._hiss(window, SAMPLE_RATE)
        # The gain is applied last, so it changes the level of the word and the noise together.
        window = self._far(self._gain(window, SAMPLE_RATE), SAMPLE_RATE)
        return np.clip(window, -1, 1)

    def _draw_noise(self, rng: Rng) -> Float32:
        """Return one second of random noise, either as recorded or with a changed speed and spectrum."""
        if rng.random() >= self.settings.noise_change_share:
            return random_crop(self.noise, rng)
        factor = rng.uniform(*NOISE_SPEED)
        crop = random_crop(self.noise, rng, round(WINDOW_SAMPLES * factor))
        changed: Float32 = soxr.resample(crop, SAMPLE_RATE * factor, SAMPLE_RATE, quality="QQ")
        filtered: Float32 = self._shelves(changed, SAMPLE_RATE)
        return place_in_window(filtered, 0)

    def change_speed(self, clip: Float32, rng: Rng) -> Float32:
        """Make a clip faster or slower. A change of the speed also changes the pitch of the clip."""
        if rng.random() >= self.settings.speed_share:
            return clip
        factor = rng.uniform(1 - self.settings.speed, 1 + self.settings.speed)
        changed: Float32 = soxr.resample(clip, SAMPLE_RATE * factor, SAMPLE_RATE, quality="QQ")
        return place_in_window(changed, (WINDOW_SAMPLES - len(changed)) // 2)

    def shift_word(self, clip: Float32, rng: Rng) -> Float32:
        """Shift a clip by a random time within the recipe's limit. The word stays inside the window."""
        first, last = word_span(clip, OUTSIDE_SHARE)  # the word may move until it touches an end of the window
        farthest = round(self.settings.shift_s * SAMPLE_RATE)
        return place_in_window(clip, int(rng.integers(-min(farthest, first), min(farthest, WINDOW_SAMPLES - last) + 1)))

    def cut_word(self, clip: Float32, rng: Rng) -> Float32:
        """Return a window that contains only the first or last 30 to 50 % of a word.

        In a stream, many windows contain only a part of a word.
        """
        first, last = word_span(clip, OUTSIDE_SHARE / 2)
        kept = round(rng.uniform(*HALF_WORD_SHARE) * (last - first))
        return place_in_window(clip, int(rng.choice([WINDOW_SAMPLES - (first + kept), kept - last])))

    def glue_words(self, first: Float32, second: Float32, rng: Rng) -> Float32:
        """Make a nonexistent word by joining the first part of one word and the last part of another word."""
        (first_begin, first_end), (second_begin, second_end) = (
            word_span(clip, OUTSIDE_SHARE / 2) for clip in (first, second)
        )
        head = first[: first_begin + round(rng.uniform(*GLUE_POINT) * (first_end - first_begin))]
        tail = second[second_begin + round(rng.uniform(*GLUE_POINT) * (second_end - second_begin)) :]
        span = len(head) - first_begin + second_end - (len(second) - len(tail))
        # The new word lies in the middle of the window.
        return place_in_window(np.concatenate([head, tail]), (WINDOW_SAMPLES - span) // 2 - first_begin)


def word_span(clip: Float32, outside_share: float) -> tuple[int, int]:
    """Find the first and last sample of a word from the energy of the audio.

    At most the share `outside_share` of the energy lies before the first sample, and at most this share lies after the
    last sample. The noise floor is the 20th percentile of the energy of 10 ms frames. The noise floor is subtracted
    before the energy is summed.
    """
    frames = clip[: len(clip) // ENERGY_FRAME * ENERGY_FRAME].reshape(-1, ENERGY_FRAME)  # (frames, 160)
    energy = np.square(frames).sum(1)  # (frames,)
    cumulative = np.cumsum(np.maximum(0, energy - np.percentile(energy, 20)))
    if cumulative[-1] == 0:
        return 0, len(clip)
    first, last = np.searchsorted(cumulative / cumulative[-1], [outside_share, 1 - outside_share])
    return int(first) * ENERGY_FRAME, min((int(last) + 1) * ENERGY_FRAME, len(clip))


def place_in_window(samples: Float32, offset: int) -> Float32:
    """Return a window in which `samples` begin at `offset`, which may be negative.

    All other samples of the window are zero.
    """
    window = np.zeros(WINDOW_SAMPLES, np.float32)
    begin, end = max(offset, 0), min(offset + len(samples), WINDOW_SAMPLES)
    if begin < end:
        window[begin:end] = samples[begin - offset : end - offset]
    return window


def mix_at_snr(signal: Float32, noise: Float32, snr_db: float) -> Float32:
    """Add noise to a signal at a given signal-to-noise ratio, which is the ratio of the two mean powers.

    If the signal or the noise contains only zeros, the signal is returned unchanged.
    """
    signal_power, noise_power = float(np.square(signal).mean()), float(np.square(noise).mean())
    if signal_power == 0 or noise_power == 0:
        return signal
    gain = np.sqrt(signal_power / noise_power) * 10 ** (-snr_db / 20)
    return signal + noise * np.float32(gain)


def random_crop(recordings: Sequence[Int16], rng: Rng, length: int = WINDOW_SAMPLES) -> Float32:
    """Return `length` samples from a random position in a random recording.

    All recordings have an equal probability.
    """
    recording = recordings[int(rng.integers(len(recordings)))]
    start = int(rng.integers(max(len(recording) - length, 0) + 1))
    crop = as_float(recording[start : start + length])
    return np.pad(crop, (0, length - len(crop)))
