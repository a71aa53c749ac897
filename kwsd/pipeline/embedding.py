"""The embedding describes how the last 0.8 seconds of a stream sound, in 96 numbers every 80 ms."""

import numpy as np

from kwsd.frontend import Float32, clip_samples
from kwsd.models.embedding import STEP_FRAMES, VECTOR_SIZE, WARM_UP_STEPS, WINDOW_FRAMES, EmbeddingNetwork
from kwsd.models.find import load_embedding
from kwsd.models.logmel import FRAME_LENGTH, FRAME_STEP, compute_log_mel
from kwsd.pipeline.ring import Ring

STEP_SAMPLES = STEP_FRAMES * FRAME_STEP
"""Samples from the end of one vector to the end of the next, 80 ms. This equals the hop of the bundled models."""

WINDOW_SAMPLES = (WINDOW_FRAMES - 1) * FRAME_STEP + FRAME_LENGTH
"""Samples that a vector covers: 12,400, which are 775 ms."""

CAUGHT_UP = 8
"""Vectors of skipped audio that `Embedding.feed` still returns.

Eight vectors with their windows cover 1.3 s, which is longer than most words.
"""

_OLDER_SAMPLES = FRAME_LENGTH - FRAME_STEP
"""Samples before a step that its first frame needs."""


class Embedding:
    """Turns a stream of samples into vectors. Two recordings of the same word have similar vectors.

    The network is Google's speech_embedding. Vector k, counted from 0, ends at sample 1280 * (k + 1). It covers the
    12,400 samples before its end. The stream begins as if digital silence came before it. So vectors 0 to 8 partly
    cover that silence, and vector 9, which ends at sample 12,800, is the first one without it.

    Parameters
    ----------
    network : EmbeddingNetwork, optional
        Network of another `Embedding`, to share its memory. Two threads must not share a network.

    Attributes
    ----------
    network : EmbeddingNetwork
    sample : int
        Samples since the start or the last `reset`. The newest vector ends at ``sample // 1280 * 1280``.

    Raises
    ------
    ModelError
        The network of the installation is missing or damaged.

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
        """Forget the audio so far, as after a gap. The next sample is the first of a stream."""
        self._samples.clear()
        self._state = self.network.silence
        self._skipped_steps = 0
        self.sample = 0

    def feed(self, samples: Float32) -> Float32:
        """Process the next samples, and return the vectors that they complete. Block sizes make no difference.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32 in [-1, 1], 16 kHz mono
            Any n. Values outside the range are clipped, and not-a-number becomes silence.

        Returns
        -------
        ndarray, shape (m, 96), float32
            Oldest first. After `skip`, the newest vectors of the skipped audio come first; there are up to `CAUGHT_UP`.

        Raises
        ------
        ValueError
            The samples have another shape or dtype.
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
        """Keep the next samples without running the network, for audio in which nothing sounds.

        The next `feed` catches up. Its vectors are the same as without any skipped samples.

        Raises
        ------
        ValueError
            The samples have another shape or dtype.
        """
        steps = self.sample // STEP_SAMPLES
        self._keep(clip_samples(samples))
        self._skipped_steps += self.sample // STEP_SAMPLES - steps

    def _keep(self, samples: Float32) -> None:
        self._samples.append(samples)
        self.sample += len(samples)

    def _catch_up(self) -> list[Float32]:
        """Run the skipped steps that later vectors depend on, and return the newest of their vectors."""
        steps = min(self._skipped_steps, WARM_UP_STEPS + CAUGHT_UP)
        self._skipped_steps = 0
        # If steps are left out, the state is out of date. The first steps replace all of it.
        unfinished = self.sample % STEP_SAMPLES
        vectors = [self._step(unfinished + age * STEP_SAMPLES) for age in reversed(range(steps))]
        return vectors[-CAUGHT_UP:]

    def _step(self, age: int) -> Float32:
        """Return the vector of the step that ended `age` samples ago."""
        end = len(self._samples.newest) - age
        mel = compute_log_mel(self._samples.newest[end - STEP_SAMPLES - _OLDER_SAMPLES : end])
        vector, self._state = self.network.step(mel, self._state)
        return vector
