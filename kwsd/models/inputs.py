"""The network inputs that kwsd supports: a waveform or a spectrogram of one second, in several shapes and types."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kwsd.errors import ModelError
from kwsd.frontend import BINS, FRAMES, SAMPLE_RATE, WINDOW_SAMPLES
from kwsd.models.model import Window

WAVEFORM, SPECTROGRAM = (WINDOW_SAMPLES,), (FRAMES, BINS)

FULL_SCALE = 32768
"""Scale of 16-bit samples: the integer for a sample of 1.0, plus one."""

SHORTEST_WAVEFORM = 2000
"""Minimum number of elements of a vector that error messages describe as a waveform."""


class Quantization(NamedTuple):
    """Quantization, which stores real numbers as integers: real = scale * (integer - zero_point).

    A scale of 0 means that the numbers are not quantized.
    """

    scale: float = 0.0
    zero_point: int = 0


NO_CODE = Quantization()


class NetworkInput(NamedTuple):
    """Describes how a window is converted to the input of a network.

    Parameters
    ----------
    shape : tuple of int
        Shape of the input in which all sizes are known, for example (1, 124, 129, 1).
    waveform : bool
        Whether the input is a waveform. If False, the input is a spectrogram.
    dtype : dtype
        Type of the input's elements. Integers without quantization are 16-bit samples.
    quantization : Quantization
        Quantization of the integers in the input.
    """

    shape: tuple[int, ...]
    waveform: bool
    dtype: np.dtype[np.generic]
    quantization: Quantization

    def encode(self, window: Window) -> NDArray[np.generic]:
        """Return the input of the network for a window."""
        values = (window.samples if self.waveform else window.spectrogram).reshape(self.shape)
        if self.dtype == np.float32:
            return values
        scale, zero_point = self.quantization
        whole = np.rint(values / scale + zero_point if scale else values * FULL_SCALE)
        limits = np.iinfo(self.dtype)  # type: ignore[type-var]
        return whole.clip(limits.min, limits.max).astype(self.dtype)


def find_input(
    shape: Sequence[int | None], dtype: DTypeLike, origin: str, quantization: Quantization = NO_CODE
) -> NetworkInput:
    """Determine the kind of input that a network requires.

    Parameters
    ----------
    shape : sequence of int or None
        Shape of the network's input. None and -1 stand for an arbitrary size.
    dtype : dtype
        Type of the network's input.
    origin : str
        Name of the network, for error messages.
    quantization : Quantization
        Quantization of the network's input.

    Raises
    ------
    ModelError
        The network requires an input that kwsd does not support. The error message describes the required input and
        tells the user what to do.
    """
    dtype = np.dtype(dtype)
    sizes = tuple(None if size in {None, -1} else int(size or 0) for size in shape)
    quantized = dtype in {np.dtype(np.int8), np.dtype(np.uint8), np.dtype(np.int16)} and quantization.scale > 0
    for core, before, after in product((WAVEFORM, SPECTROGRAM), ((1,), ()), ((), (1,))):
        concrete = (*before, *core, *after)
        same = len(sizes) == len(concrete) and all(a in {None, b} for a, b in zip(sizes, concrete, strict=True))
        is_waveform = core == WAVEFORM
        if same and (dtype == np.float32 or quantized or (is_waveform and dtype == np.int16)):
            return NetworkInput(concrete, is_waveform, dtype, quantization)
    raise ModelError(f"{origin} takes {_describe(sizes, dtype)}, {_advise(sizes, dtype)}")


def dequantize(values: NDArray[np.generic], quantization: Quantization) -> NDArray[np.generic]:
    """Convert quantized integers to real numbers. If the values are not quantized, return them unchanged."""
    scale, zero_point = quantization
    return scale * (values.astype(np.float32) - zero_point) if scale else values


def _describe(sizes: tuple[int | None, ...], dtype: np.dtype[np.generic]) -> str:
    return f"{dtype} ({', '.join('n' if size is None else str(size) for size in sizes)})"


def _advise(sizes: tuple[int | None, ...], dtype: np.dtype[np.generic]) -> str:
    cores = {size for size in sizes if size != 1}
    known = [size for size in sizes if size not in {None, 1}]
    if not np.issubdtype(dtype, np.number):
        return f"not numbers: export it with a function that takes float32 (n, {WINDOW_SAMPLES:d})"
    if len(known) == 1 and known[0] and known[0] >= SHORTEST_WAVEFORM and known[0] != WINDOW_SAMPLES:
        return (
            f"{known[0] / SAMPLE_RATE:.3g} s at {SAMPLE_RATE} Hz, and kwsd's window has {WINDOW_SAMPLES} samples: train"
            " it on clips of 1 s, for example with  kwsd-train fit --recipe tutorial --data DIR"
        )
    if (sizes[1:2] == WAVEFORM or sizes[1:3] == SPECTROGRAM) and sizes[0] not in {None, 1}:
        return f"a batch of {sizes[0]}, and kwsd gives it one window at a time: export it for a batch of any size"
    if len(known) in {2, 3} and cores != {*SPECTROGRAM}:
        return (
            f"another spectrogram than kwsd's ({FRAMES}, {BINS}): put the front end into the network, so that it takes"
            f" float32 (n, {WINDOW_SAMPLES}), and export it again"
        )
    return (
        f"and kwsd needs float32 (n, {WINDOW_SAMPLES}) for samples or (n, {FRAMES}, {BINS}) for a spectrogram: export"
        " it again with such an input"
    )


Compute = Callable[[Window], NDArray[np.generic]]
"""Function from a window to the output of a network, with the shape (labels,)."""
