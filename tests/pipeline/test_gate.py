import csv

import numpy as np
import soundfile

from kwsd import Embedding
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.frontend import Float32
from kwsd.models.find import load_embedding
from kwsd.pipeline.embedding import STEP_SAMPLES
from kwsd.pipeline.gate import BACKGROUND_STEPS, HOLD_STEPS, SoundGate

SAMPLES, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
STEPS = SAMPLES[: len(SAMPLES) // STEP_SAMPLES * STEP_SAMPLES].reshape(-1, STEP_SAMPLES)


def make_noise(steps: int, rms: float) -> Float32:
    return np.random.default_rng(0).normal(0, rms, (steps, STEP_SAMPLES)).astype(np.float32)


def test_the_gate_is_open_at_some_time_in_every_word_of_the_recording() -> None:
    gate = SoundGate()
    is_open = np.array([gate.update(step) for step in STEPS])
    with (DEMO_FOLDER / "demo.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            first, last = (int(float(row[name]) * 16_000 / STEP_SAMPLES) for name in ("start_s", "end_s"))
            assert is_open[first:last].any()


def test_the_vectors_of_a_gated_stream_are_some_of_those_of_the_whole_stream() -> None:
    whole = Embedding(load_embedding()).feed(SAMPLES)
    embedding, gate = Embedding(load_embedding()), SoundGate()
    computed = 0
    for number, step in enumerate(STEPS, 1):
        if gate.update(step):
            vectors = embedding.feed(step)
            np.testing.assert_array_equal(vectors, whole[number - len(vectors) : number])
            computed += len(vectors)
        else:
            embedding.skip(step)
    assert len(whole) / 4 < computed < len(whole)


def test_steady_noise_and_digital_silence_keep_the_gate_closed() -> None:
    for steps in (make_noise(200, 0.001), make_noise(200, 0.1), np.zeros((200, STEP_SAMPLES), np.float32)):
        gate = SoundGate()
        assert not any(gate.update(step) for step in steps)


def test_a_steady_noise_that_begins_closes_the_gate_again() -> None:
    gate = SoundGate()
    for step in make_noise(100, 0.001):
        gate.update(step)
    is_open = [gate.update(step) for step in make_noise(BACKGROUND_STEPS + HOLD_STEPS, 0.01)]
    assert is_open == [True] * (BACKGROUND_STEPS + HOLD_STEPS - 2) + [False] * 2


def test_a_reset_forgets_the_background() -> None:
    gate = SoundGate()
    for step in make_noise(100, 0.001):
        gate.update(step)
    gate.reset()
    assert not any(gate.update(step) for step in make_noise(100, 0.01))
