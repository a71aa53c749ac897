"""The embedding describes how the last 0.8 seconds of a stream sound, in 96 numbers every 80 ms."""

import numpy as np

from kwsd.frontend import Float32, clip_samples
from kwsd.models.embedding import STEP_FRAMES, VECTOR_SIZE, WARM_UP_STEPS, WINDOW_FRAMES, EmbeddingNetwork
from kwsd.models.find import load_embedding
from kwsd.models.logmel import FRAME_LENGTH, FRAME_STEP, compute_log_mel
from kwsd.pipeline.ring import Ring

STEP_SAMPLES = STEP_FRAMES * FRAME_STEP
"""Number of samples from the end of one vector to the end of the next: 1,280, which are 80 ms. The step of the
embedding equals the hop of the bundled models."""

WINDOW_SAMPLES = (WINDOW_FRAMES - 1) * FRAME_STEP + FRAME_LENGTH
"""Number of samples that a vector covers: 12,400, which are 775 ms."""

CAUGHT_UP = 8
"""Maximum number of vectors of skipped audio that `Embedding.feed` returns after the end of a skipped part.

Eight vectors together cover 1.3 s of audio, which is longer than most words.
"""

_OLDER_SAMPLES = FRAME_LENGTH - FRAME_STEP
"""Number of samples before the start of a step that the first frame of the step needs."""


class Embedding:
    """Converts a stream of audio samples to a sequence of vectors.

    Two recordings of the same word have similar vectors.

    The network is Google's speech_embedding. Vector number k, counted from 0, ends at sample 1280 * (k + 1). Each
    vector covers the 12,400 samples before its end. The embedding assumes digital silence before the start of the
    stream. Vectors 0 to 8 therefore partly cover digital silence. Vector 9, which ends at sample 12,800, is the first
    without this silence.

    Parameters
    ----------
    network : EmbeddingNetwork, optional
        Network of another `Embedding`, to load the network into memory only once. Two threads must not share a network.

    Attributes
    ----------
    network : EmbeddingNetwork
    sample : int
        Number of samples since the start or the last `reset`. The newest vector ends at ``sample // 1280 * 1280``.

    Raises
    ------
    ModelError
        The network file of the kwsd installation is missing or damaged.

    Examples
    --------
    >>> import soundfile, kwsd
    >>> samples, rate = soundfile.read("speech.flac", dtype="float32")  # 16 kHz, mono, 5 seconds
    >>> kwsd.Embedding().feed(samples).shape
    (62, 96)
    """

    def __init__(self, network: EmbeddingNetwork | None = None) -> None:
        self.network = network or load_embedding()
        self.sample = 0
        self._samples = Ring(_OLDER_SAMPLES + (WARM_UP_STEPS + CAUGHT_UP + 1) * STEP_SAMPLES)
        self.reset()

    def reset(self) -> None:
        """Discard all audio received so far, for example after a gap.

        The next sample counts as the first sample of a stream.
        """
        self._samples.clear()
        self._state = self.network.silence
        self._skipped_steps = 0
        self.sample = 0

    def feed(self, samples: Float32) -> Float32:
        """Process the next samples, and return the vectors that are now complete.

        The result does not depend on how the stream is divided into blocks.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
            Next samples of the stream, in any number. Values outside [-1, 1] are clipped, and not-a-number values count
            as silence.

        Returns
        -------
        ndarray, shape (m, 96), float32
            The new vectors, oldest first. After `skip`, the newest vectors of the skipped audio come first, at most
            `CAUGHT_UP` of them.

        Raises
        ------
        ValueError
            The samples have a different shape or dtype than described above.
        """
        samples = clip_samples(samples)
        vectors = self._catch_up()
        while len(samples):
            missing = STEP_SAMPLES - self.sample % STEP_SAMPLES
            self._keep(samples[:missing])
            samples = samples[missing:]
            if not self.sample % STEP_SAMPLES:
                vectors.append(self._step(0))
        return np.array(vectors, np.float32).reshape(-1, VECTOR_SIZE)

    def skip(self, samples: Float32) -> None:
        """Store the next samples without running the network, for audio without sound.

        The next `feed` first processes the stored samples that later vectors depend on. After skipped samples, `feed`
        returns the vectors that it would return without skipping.

        Raises
        ------
        ValueError
            The samples have a different shape or dtype than described above.
        """
        steps = self.sample // STEP_SAMPLES
        self._keep(clip_samples(samples))
        self._skipped_steps += self.sample // STEP_SAMPLES - steps

    def _keep(self, samples: Float32) -> None:
        self._samples.append(samples)
        self.sample += len(samples)

    def _catch_up(self) -> list[Float32]:
        """Run the network on the skipped steps that later vectors depend on.

        Return the newest vectors of the skipped steps.
        """
        steps = min(self._skipped_steps, WARM_UP_STEPS + CAUGHT_UP)
        self._skipped_steps = 0
        # If steps are left out, the state is out of date. The first steps replace all of it.
        unfinished = self.sample % STEP_SAMPLES
        vectors = [self._step(unfinished + age * STEP_SAMPLES) for age in reversed(range(steps))]
        return vectors[-CAUGHT_UP:]

    def _step(self, age: int) -> Float32:
        """Return the vector of the step whose end is `age` samples before the newest sample."""
        end = len(self._samples.newest) - age
        mel = compute_log_mel(self._samples.newest[end - STEP_SAMPLES - _OLDER_SAMPLES : end])
        vector, self._state = self.network.step(mel, self._state)
        return vector
