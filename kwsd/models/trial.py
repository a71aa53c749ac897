"""Tests a network before kwsd uses it: checks the outputs, and catches a crash in a child process."""

import faulthandler
import os
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from kwsd.errors import ModelError
from kwsd.files import MIB
from kwsd.frontend import SAMPLE_RATE, WINDOW_SAMPLES, Float32, spectrogram
from kwsd.models.bundle import UNKNOWN_LABEL
from kwsd.models.inputs import Compute
from kwsd.models.model import Window

SUM_TOLERANCE = 0.05
"""Maximum difference between a sum of probabilities and 1. The sum is not exact, because each quantised output is
rounded to 1/256."""

TRIAL_MEMORY = 256 * MIB
"""Maximum number of bytes that a network may use in addition to the current memory of the process. The bundled network
needs 3 million bytes. The memory limit of a service must be large enough for the daemon and a test together."""

TRIAL_S = 5
"""Maximum number of seconds that a test may take. A network that needs more time for five windows is too slow for a
microphone."""

ALL_WINDOWS = 5
"""Number of test windows that show whether outputs are logits or probabilities."""

FEW_WINDOWS = 2
"""Number of test windows that show that a bundle works: silence and noise. Each test window delays the start of the
program by about a millisecond."""

PASSED = "passed"
"""Text that the child process reports after a test without a fault. A child process that crashes does not report a
text."""

MAX_REASON_BYTES = 4000
"""Maximum length of the error text that the child process reports. A text of this length fits into the buffer of a
pipe, so the child process never waits for a reader."""


def make_trial_sounds() -> Iterator[Float32]:
    """Return very different windows of samples: silence, noise, quiet noise, a tone, and an impulse.

    The noise is a multiplicative hash of the sample numbers (Knuth, The Art of Computer Programming, section 6.4).
    numpy's random generators are not used, because their import would take longer than the test.
    """
    numbers = np.arange(WINDOW_SAMPLES, dtype=np.uint32)
    scrambled = (numbers * np.uint32(2654435761)) ^ (numbers * np.uint32(2246822519) >> np.uint32(15))
    noise = (scrambled.astype(np.float32) / np.float32(2**31) - 1).astype(np.float32)
    yield np.zeros(WINDOW_SAMPLES, np.float32)
    yield noise
    yield noise * np.float32(0.01)
    yield np.sin(numbers * np.float32(2 * np.pi * 440 / SAMPLE_RATE)).astype(np.float32)
    yield (numbers == WINDOW_SAMPLES // 2).astype(np.float32)


def compute_trial_outputs(compute: Compute, labels: int, origin: str, windows: int = ALL_WINDOWS) -> Float32:
    """Run a network on the test windows.

    Parameters
    ----------
    compute : callable
        Function from a window to the output of the network.
    labels : int
        Required number of outputs of the network.
    origin : str
        Name of the network, for error messages.
    windows : int
        Number of test windows to run, at most `ALL_WINDOWS`.

    Returns
    -------
    ndarray, shape (windows, labels), float32

    Raises
    ------
    ModelError
        The network fails or has only one output, or an output has a wrong shape or is not finite.
    """
    if labels == 1:
        raise ModelError(f"{origin} has one output: train it with a second label, such as {UNKNOWN_LABEL}")
    answers = []
    for samples in islice(make_trial_sounds(), windows):
        answer = compute(Window(samples, spectrogram(samples)))
        if answer.shape != (labels,):
            raise ModelError(f"{origin} answers with the shape {answer.shape}, but has {labels} labels")
        if not np.isfinite(answer).all():
            sound = "noise" if samples.any() else "silence"
            raise ModelError(f"{origin} answers {sound} with numbers that are not finite: check its weights")
        answers.append(answer.astype(np.float32))
    return np.stack(answers)


def are_probabilities(outputs: Float32) -> bool:
    """Whether every row of outputs is a probability distribution: numbers from 0 to 1 whose sum is 1."""
    sums = outputs.sum(axis=-1)
    return _are_fractions(outputs) and bool((np.abs(sums - 1) <= SUM_TOLERANCE).all())


def check_probabilities(outputs: Float32, origin: str) -> None:
    """Check that outputs are probabilities of mutually exclusive labels.

    Raises
    ------
    ModelError
        An output is outside [0, 1], or the sum of a row is not 1.
    """
    if not are_probabilities(outputs):
        low, high, total = outputs.min(), outputs.max(), outputs.sum(axis=-1).max()
        raise ModelError(
            f"{origin} does not answer with probabilities: its outputs are from {low:.3g} to {high:.3g}, and add up to"
            f" {total:.3g} instead of 1"
        )


def needs_softmax(outputs: Float32, origin: str) -> bool:
    """Whether outputs are logits, which a softmax converts to probabilities.

    Raises
    ------
    ModelError
        The outputs are independent probabilities, with a separate sigmoid for each label.
    """
    if are_probabilities(outputs):
        return False
    if _are_fractions(outputs):
        raise ModelError(
            f"{origin} ends in a sigmoid for each label, because its outputs are from 0 to 1 but do not add up to 1:"
            " end it with a softmax, or without an activation, and export it again"
        )
    return True


def softmax(logits: Float32) -> Float32:
    """Return the softmax over the last axis, which consists of float32 probabilities."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Float32 = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def try_in_child(load: Callable[[], object], origin: str) -> None:
    """Run a function in a child process.

    A crash, an endless loop or high memory use in the child process cannot harm this process.

    LiteRT aborts the process on some damaged networks: on two of 2,000 networks with random changes. A fork takes about
    ten milliseconds and does not start another program. The child runs only the given function, with memory and time
    limits, and ends without exit handlers. TensorFlow does not work after a fork, so only LiteRT networks are tested in
    a child process.

    Parameters
    ----------
    load : callable
        Function that loads a network and runs it.
    origin : str
        Name of the network, for error messages.

    Raises
    ------
    ModelError
        The function `load` raised an error, crashed, took too long, or needed too much memory.
    """
    read_end, write_end = os.pipe()
    try:
        child = _fork()
    except OSError as error:
        os.close(read_end)
        os.close(write_end)
        raise ModelError(f"{origin} cannot be tried in a child process: {error.strerror}") from None
    if not child:
        _run_in_child(load, origin, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read().decode(errors="replace")
    number = _wait_for_signal(child)
    if answer == PASSED:
        return
    if answer:
        raise ModelError(answer)
    if number == signal.SIGALRM:
        raise ModelError(f"{origin} needs more than {TRIAL_S} s for a trial: it is too slow, or never ends")
    memory = f"{TRIAL_MEMORY // MIB} MB of memory"
    raise ModelError(f"{origin} crashes LiteRT (signal {number}): it is damaged, or needs more than {memory}")


def _wait_for_signal(child: int) -> int:
    """Wait until a child process has ended. Return the signal that ended the child, or 0 if the signal is unknown."""
    try:
        _, status = os.waitpid(child, 0)
    except ChildProcessError:  # this process was started with SIGCHLD ignored
        return 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns because other threads may hold locks. The child needs none of theirs, and its time is limited.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _run_in_child(load: Callable[[], object], origin: str, write_end: int) -> None:
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        # The alarm ends the child also where a crash handler would wait.
        signal.setitimer(signal.ITIMER_REAL, TRIAL_S)
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
        memory = pages * resource.getpagesize() + TRIAL_MEMORY
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        load()
        _report(write_end, PASSED)
    except MemoryError:
        _report(write_end, f"{origin} needs more than {TRIAL_MEMORY // MIB} MB of memory")
    except ModelError as error:
        _report(write_end, str(error))
    except Exception as error:  # noqa: BLE001  the parent raises it
        _report(write_end, f"{origin} cannot be used: {error}")
    finally:
        os._exit(0)


def _report(write_end: int, reason: str) -> None:
    os.write(write_end, reason.encode(errors="replace")[:MAX_REASON_BYTES])


def _are_fractions(outputs: Float32) -> bool:
    margin = 1e-3  # quantisation and rounding
    return bool((outputs >= -margin).all() and (outputs <= 1 + margin).all())
