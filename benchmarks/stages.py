"""Profiles a hop: microseconds in each stage of kwsd, compared with the minimum time of its arithmetic.

``python benchmarks/stages.py [--model MODEL]`` runs the real pipeline over the bundled recording and times each stage.
The network scores only some of the windows, so its time per hop is an average. The minimum, or floor, is the number of
multiplications and additions divided by the rate of numpy's matrix product on one thread of this machine. It does not
include memory access and function calls.
"""

import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import flatbuffers
import numpy as np
import soundfile
import typer
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from kwsd import Spotter, frontend, load_model
from kwsd.audio.capture import Capture
from kwsd.audio.convert import Converter
from kwsd.audio.source import BLOCK_SAMPLES, Block, boot_s
from kwsd.bus.control import ControlServer
from kwsd.bus.publisher import Publisher
from kwsd.cli.demo import DEMO_FOLDER
from kwsd.clips.saver import ClipSaver
from kwsd.config.schema import ClipsConfig
from kwsd.daemon.notify import Notifier
from kwsd.daemon.reporter import Reporter
from kwsd.daemon.state import StreamState
from kwsd.models.find import find_model
from kwsd.pipeline import spotter
from kwsd.pipeline.detector import Detection

REPEAT = 1000


def main(model: Annotated[str, typer.Option(help="Name or folder of a bundle.")] = "default") -> None:
    """Print the profile as Markdown."""
    hop = load_model(model).hop_samples
    frames = hop // frontend.FRAME_STEP
    pipeline, asked = _pipeline(model)
    floors = {
        "front end": frames * _front_end_operations(),
        "model": 2 * asked * _multiplications(find_model(model) / "model.tflite"),
    }
    rate = _operations_a_microsecond()
    print(f"| stage | µs per hop of {hop / 16:.0f} ms | floor, µs |\n|---|---|---|")
    for stage, spent in (pipeline | _around()).items():
        floor = f"{floors[stage] / rate:.1f}" if stage in floors else ""
        print(f"| {stage} | {spent:.1f} | {floor} |")
    print(f"| one call of the network, which {asked:.0%} of the windows need | {pipeline['model'] / asked:.1f} | |")
    print(f"| LiteRT: one call of an empty model | {_empty_model_us():.1f} | |")
    print(f"\nFloor at {rate / 1000:.0f} thousand million operations a second, float32 on one thread.", file=sys.stderr)


class Clock:
    """A function that measures the duration of its calls."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.spent: list[int] = []  # nanoseconds

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  those of the function
        """Call the function."""
        started = time.perf_counter_ns()
        result = self._call(*arguments, **keywords)
        self.spent.append(time.perf_counter_ns() - started)
        return result

    @property
    def median_us(self) -> float:
        """The median duration of the calls so far."""
        return statistics.median(self.spent) / 1000

    @property
    def total_us(self) -> float:
        """The total duration of the calls so far."""
        return sum(self.spent) / 1000


def _pipeline(name: str) -> tuple[dict[str, float], float]:
    """Microseconds per hop in each stage of the spotter, and the share of windows that are scored."""
    samples, _ = soundfile.read(DEMO_FOLDER / "demo.flac", dtype="float32")
    model = load_model(name)
    whole: Any = Spotter(model)
    clocks = {
        "ring of samples": _time(whole._samples, "append"),  # noqa: SLF001  a benchmark looks inside
        "front end": _time(spotter, "spectrogram"),
        "ring of frames": _time(whole._frames, "append"),  # noqa: SLF001
        "model": _time(model.network, "scores"),
        "detector": _time(whole._detector, "update"),  # noqa: SLF001
    }
    feed = Clock(whole.feed)
    for start in range(0, len(samples) - model.hop_samples, model.hop_samples):
        feed(samples[start : start + model.hop_samples])
    hops = len(feed.spent)
    spent = {stage: clock.total_us / hops for stage, clock in clocks.items()}
    # The detector calls the other stages, so its time includes theirs.
    spent["detector"] -= spent["front end"] + spent["ring of frames"] + spent["model"]
    total = feed.total_us / hops
    around = {
        "checks and function calls of the spotter": total - sum(spent.values()),
        "**spotter in total, from samples to detections**": total,
    }
    return spent | around, len(clocks["model"].spent) / hops


def _time(owner: Any, name: str) -> Clock:  # noqa: ANN401  a module or any object
    """Replace a function by a `Clock` around it."""
    clock = Clock(getattr(owner, name))
    setattr(owner, name, clock)
    return clock


def _around() -> dict[str, float]:
    """Microseconds per hop in the other stages of the daemon."""
    block = np.zeros((BLOCK_SAMPLES, 1), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        endless, notifier = Endless(), Notifier()
        capture = Capture(lambda: endless)
        with (
            Publisher(f"ipc://{folder}/events.sock") as publisher,
            closing(ControlServer(f"ipc://{folder}/control.sock")) as control,
        ):
            state, spotter = StreamState("", "endless"), Spotter(load_model())
            reporter = Reporter(publisher, notifier, state, capture, spotter, ClipSaver(ClipsConfig()))
            reporter.publish_status()

            def look() -> None:
                notifier.alive()
                control.answer_requests(lambda _command: [reporter.publish_status()])
                if publisher.read_subscriptions():
                    reporter.publish_status()

            spent = {
                "capture: conversion": _median_us(lambda: Converter(frontend.SAMPLE_RATE).convert(block)),
                "capture: transfer of a block between threads": _median_us(lambda: capture.next(1.0)),
                "bus: checking for requests and subscribers (not in every hop)": _median_us(look),
                "bus: publishing an event (not in every hop)": _median_us(
                    lambda: reporter.publish_keyword(Detection("go", 1.0, 0), boot_s())
                ),
            }
        capture.close()
    return spent


class Endless:
    """A source that always has a block ready."""

    name = "endless"
    live = False
    batch = 1

    def __init__(self) -> None:
        self._closed = False

    def blocks(self) -> Iterator[Block]:
        """Yield the same block until the source is closed."""
        block = Block(np.zeros(BLOCK_SAMPLES, np.float32))
        while not self._closed:
            yield block

    def close(self) -> None:
        """Stop the iteration of `blocks`."""
        self._closed = True


def _median_us(call: Callable[[], object]) -> float:
    clock = Clock(call)
    for _ in range(REPEAT):
        clock()
    return clock.median_us


def _operations_a_microsecond() -> float:
    """Float32 multiplications and additions per microsecond in a matrix product on one thread of this machine."""
    size = 512
    left, right = np.ones((2, size, size), np.float32)
    best = min(_timed(lambda: left @ right) for _ in range(50))
    return 2 * size**3 / best


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1000


def _front_end_operations() -> float:
    """Operations of one frame: window, real FFT (2.5 N log2 N, as FFTW counts), magnitude (two squares, sum, root)."""
    size = frontend.FFT_LENGTH
    return frontend.FRAME_LENGTH + 2.5 * size * math.log2(size) + 4 * frontend.BINS


def _multiplications(path: Path) -> float:
    """Operations of one window in the convolutions and matrix products of a network. Four int8 ones count as one."""
    graph = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    total = 0.0
    for part in graph.subgraphs:
        for operator in part.operators:
            code = graph.operatorCodes[operator.opcodeIndex].builtinCode
            outputs = math.prod(part.tensors[operator.outputs[0]].shape)
            if code in _WEIGHTS:
                weights = part.tensors[operator.inputs[1]]
                count = outputs * math.prod(weights.shape[1:]) // (weights.shape[3] if code == _DEPTHWISE else 1)
                total += count / 4 if weights.type == schema.TensorType.INT8 else count
    return total


_DEPTHWISE = schema.BuiltinOperator.DEPTHWISE_CONV_2D
_WEIGHTS = {_DEPTHWISE, schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED}


def _empty_model_us() -> float:
    """The time of a call of a model with one cheap operation: set the input, run, get the output."""
    interpreter = Interpreter(model_content=_empty_model(), num_threads=1)
    interpreter.allocate_tensors()
    value = np.zeros((1, 1), np.float32)

    def call() -> None:
        interpreter.set_tensor(0, value)
        interpreter.invoke()
        interpreter.get_tensor(1)

    return _median_us(call)


def _empty_model() -> bytes:
    """A LiteRT model that negates one number."""
    model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.NEG
    for name in (b"in", b"out"):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name, tensor.buffer = [1, 1], schema.TensorType.FLOAT32, name, 0
        graph.tensors = [*(graph.tensors or []), tensor]
    operator.inputs, operator.outputs = [0], [1]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    typer.run(main)
