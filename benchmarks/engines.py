"""Measures one engine on one recording. `peers.py` runs it in the environment of the engine, without kwsd's modules.

``python engines.py NAME AUDIO.wav`` prints one JSON object.
"""

import json
import resource
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

WORDS = ("down", "go", "left", "no", "right", "stop", "up", "yes")


class Engine(NamedTuple):
    """A keyword spotter that is ready to process audio.

    Parameters
    ----------
    words : int
        Number of keywords that it detects.
    hop : int
        Number of samples per call of `feed`: what the engine needs for one decision.
    feed : callable
        Processes signed 16-bit samples at 16 kHz mono, as bytes.
    """

    words: int
    hop: int
    feed: Callable[[bytes], object]


def kwsd() -> Engine:
    """The pipeline of kwsd, as in the daemon and in ``kwsd scan``."""
    import numpy as np

    from kwsd import Spotter, load_model

    model = load_model()
    spotter = Spotter(model)

    def feed(block: bytes) -> None:
        spotter.feed(np.frombuffer(block, np.int16).astype(np.float32) / np.float32(32768))

    return Engine(len(model.keywords), model.hop_samples, feed)


def pymicro(count: int) -> Engine:
    """microWakeWord: one int8 streaming network for each word, implemented in C."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    features = MicroWakeWordFeatures()
    words = [MicroWakeWord.from_builtin(model) for model in list(Model)[:count]]

    def feed(block: bytes) -> None:
        for row in features.process_streaming(block):
            for word in words:
                word.process_streaming(row)

    return Engine(len(words), 480, feed)  # one decision needs three feature rows of 10 ms


def pyopen() -> Engine:
    """The networks of openWakeWord, implemented in C with TensorFlow Lite."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    features = OpenWakeWordFeatures.from_builtin()
    words = [OpenWakeWord.from_builtin(model) for model in Model]

    def feed(block: bytes) -> None:
        for embedding in features.process_streaming(block):
            for word in words:
                list(word.process_streaming(embedding))

    return Engine(len(words), 1280, feed)


def openwakeword() -> Engine:
    """The original openWakeWord with the networks from its wheel. ONNX Runtime runs them on one thread."""
    import numpy as np
    from openwakeword.model import Model

    model = Model()
    return Engine(len(model.models), 1280, lambda block: model.predict(np.frombuffer(block, np.int16)))


def pocketsphinx() -> Engine:
    """The keyphrase search of CMU Sphinx with its English model."""
    from pocketsphinx import Decoder

    phrases = Path(sys.argv[2]).with_name("phrases.txt")
    phrases.write_text("".join(f"{word} /1e-10/\n" for word in WORDS))
    decoder = Decoder(kws=str(phrases), samprate=16000, loglevel="FATAL")
    decoder.start_utt()

    def feed(block: bytes) -> None:
        decoder.process_raw(block, no_search=False, full_utt=False)
        if decoder.hyp() is not None:  # restart after each word, as in its examples
            decoder.end_utt()
            decoder.start_utt()

    return Engine(len(WORDS), 1280, feed)


ENGINES: dict[str, Callable[[], Engine]] = {
    "kwsd": kwsd,
    "pymicro-wakeword": lambda: pymicro(4),
    "pymicro-wakeword, one word": lambda: pymicro(1),
    "openwakeword": openwakeword,
    "pocketsphinx": pocketsphinx,
    "pyopen-wakeword": pyopen,
}


def main() -> None:
    """Load an engine, process the recording, and print the cost of both."""
    started = time.perf_counter(), time.process_time()
    engine = ENGINES[sys.argv[1]]()
    ready_s, ready_cpu_s = time.perf_counter() - started[0], time.process_time() - started[1]
    with wave.open(sys.argv[2]) as file:
        seconds = file.getnframes() / file.getframerate()
        blocks = [file.readframes(engine.hop) for _ in range(file.getnframes() // engine.hop)]
    held_mb = sum(map(len, blocks)) / 1e6
    steps, before = [], _cpu_s()
    for block in blocks:
        step = time.perf_counter()
        engine.feed(block)
        steps.append(time.perf_counter() - step)
    result = {
        "words": engine.words,
        "hop_ms": engine.hop / 16,
        "cpu": (_cpu_s() - before) / seconds,
        "memory_mb": _peak_mb() - held_mb,
        "ready_s": ready_s,
        "ready_cpu_s": ready_cpu_s,
        "worst_ms": 1000 * max(steps),
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _cpu_s() -> float:
    """The CPU time of all threads, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    """The peak resident memory. The value of ``getrusage`` includes that of the parent before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    main()
