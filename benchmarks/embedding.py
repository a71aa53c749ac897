"""Measures the embedding: CPU seconds per second of audio with and without sound, and the CPU time of each stage.

``python benchmarks/embedding.py [--data DEMO_FOLDER]…`` uses the bundled recording of words in noise and, if given, the
recordings in folders. The quiet room is a steady noise, 60 dB below full scale.
"""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import soundfile
import typer

from kwsd import Embedding
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.frontend import SAMPLE_RATE, Float32
from kwsd.models.find import load_embedding
from kwsd.models.logmel import compute_log_mel
from kwsd.pipeline.embedding import STEP_SAMPLES, WINDOW_SAMPLES
from kwsd.pipeline.gate import SoundGate

ROUNDS = 5
QUIET_S = 60
PACED_S = 16  # a whole number of batches of four steps
REPEAT = 1000

SKIPPED_STEPS = 40
"""More steps than an embedding catches up, so that the time does not depend on their number."""


def main(
    data: Annotated[list[Path] | None, typer.Option(help="Folder of recordings. May be repeated.")] = None,
) -> None:
    """Print the figures as Markdown."""
    words, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
    quiet = np.random.default_rng(0).normal(0, 1e-3, QUIET_S * SAMPLE_RATE).astype(np.float32)
    recordings = {"words in noise": words, "quiet room": quiet} | {folder.name: _read(folder) for folder in data or []}
    print("| audio | CPU s per s of audio, without gate | with gate | steps with an open gate |\n|---|---|---|---|")
    for name, samples in recordings.items():
        always = statistics.median(_cpu_share(_feed_all, samples) for _ in range(ROUNDS))
        gated = statistics.median(_cpu_share(_feed_gated, samples) for _ in range(ROUNDS))
        print(
            f"| {name}, {len(samples) / SAMPLE_RATE:.0f} s | {always:.5f} | {gated:.5f} | {_open_share(samples):.0%} |"
        )
    print(
        "\n| gated stream in real time | CPU s per s of audio, a step each 80 ms | 4 steps each 320 ms |\n|---|---|---|"
    )
    for name, samples in {"words in noise": words, "quiet room": quiet}.items():
        print(f"| {name} | {_paced_share(samples, 1):.5f} | {_paced_share(samples, 4):.5f} |")
    print("\n| stage | µs of CPU a step of 80 ms |\n|---|---|")
    for stage, call in _stages(words).items():
        print(f"| {stage} | {_median_us(call):.0f} |")


def _read(folder: Path) -> Float32:
    """The recordings in a folder, one after another."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".flac", ".wav"})
    return np.concatenate([soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0] for path in files])


def _steps(samples: Float32) -> Float32:
    return samples[: len(samples) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)


def _feed_all(samples: Float32) -> None:
    embedding = Embedding()
    for step in _steps(samples):
        embedding.feed(step)


def _feed_gated(samples: Float32) -> None:
    embedding, gate = Embedding(), SoundGate()
    for step in _steps(samples):
        _feed_or_skip(embedding, gate, step)


def _feed_or_skip(embedding: Embedding, gate: SoundGate, step: Float32) -> None:
    if gate.update(step):
        embedding.feed(step)
    else:
        embedding.skip(step)


def _paced_share(samples: Float32, steps: int) -> float:
    """CPU seconds per second of audio if so many steps arrive at once, in real time, without the time to wait for them.

    Between the steps the processor caches fill with other data, so each step takes longer than in a file.
    """
    embedding, gate = Embedding(), SoundGate()
    due_s, spent_s = time.monotonic(), 0.0
    for batch in samples[: PACED_S * SAMPLE_RATE].reshape(-1, steps, STEP_SAMPLES):
        due_s += steps * STEP_SAMPLES / SAMPLE_RATE
        time.sleep(max(0, due_s - time.monotonic()))
        started_s = time.thread_time()
        for step in batch:
            _feed_or_skip(embedding, gate, step)
        spent_s += time.thread_time() - started_s
    return spent_s / PACED_S


def _cpu_share(call: Callable[[Float32], None], samples: Float32) -> float:
    """CPU seconds per second of audio, with the time to load the network."""
    started = time.process_time()
    call(samples)
    return (time.process_time() - started) * SAMPLE_RATE / len(samples)


def _open_share(samples: Float32) -> float:
    gate = SoundGate()
    return float(np.mean([gate.update(step) for step in _steps(samples)]))


def _stages(samples: Float32) -> dict[str, Callable[[], object]]:
    network, gate, embedding = load_embedding(), SoundGate(), Embedding()
    step = samples[WINDOW_SAMPLES : WINDOW_SAMPLES + STEP_SAMPLES].copy()
    longer = samples[WINDOW_SAMPLES : WINDOW_SAMPLES + STEP_SAMPLES + 240].copy()
    mel = compute_log_mel(longer)
    skipped = samples[: SKIPPED_STEPS * STEP_SAMPLES]

    def catch_up() -> None:
        embedding.skip(skipped)
        embedding.feed(step)

    return {
        "log-mel": lambda: compute_log_mel(longer),
        "network": lambda: network.step(mel, network.silence),
        "**embedding: samples in, vector out**": lambda: embedding.feed(step),
        "gate": lambda: gate.update(step),
        "skipped step": lambda: embedding.skip(step),
        "the first step after skipped audio (not every step)": catch_up,
    }


def _median_us(call: Callable[[], object]) -> float:
    spent = []
    for _ in range(REPEAT):
        started = time.thread_time_ns()
        call()
        spent.append(time.thread_time_ns() - started)
    return statistics.median(spent) / 1000


if __name__ == "__main__":
    typer.run(main)
