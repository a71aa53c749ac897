"""Checks whether the model loads, returns valid scores, and is fast enough on this machine."""

import time

import numpy as np

from kwsd.check.finding import Finding, failed, ok, warning
from kwsd.config.schema import Config
from kwsd.errors import ModelError
from kwsd.frontend import SAMPLE_RATE
from kwsd.models.find import configured_model
from kwsd.models.model import Model
from kwsd.pipeline.spotter import Spotter


def check_model(config: Config) -> tuple[Finding, Model | None]:
    """Check the model, and return the model if it can be used."""
    try:
        loaded = configured_model(config)
        window_ms = _measure_window_ms(loaded)
    except ModelError as error:
        return failed("model", error, "kwsd models"), None
    hop_ms = 1000 * loaded.hop_samples / SAMPLE_RATE
    text = f"{loaded.name}: {' '.join(loaded.keywords)}; {window_ms:.1f} ms per window, a window every {hop_ms:.0f} ms"
    if window_ms > hop_ms:
        return warning("model", f"{text}: this machine is too slow for this model", "kwsd models"), loaded
    return ok("model", text), loaded


def _measure_window_ms(loaded: Model) -> float:
    """Return the mean time in milliseconds to process a window, measured on two seconds of noise.

    Raises
    ------
    ModelError
        The network fails.
    """
    spotter = Spotter(loaded, attentive=True)
    noise = np.random.default_rng(0).normal(0, 0.01, 2 * SAMPLE_RATE).astype(np.float32)
    started_s = time.perf_counter()
    spotter.feed(noise)
    return 1000 * (time.perf_counter() - started_s) / spotter.windows
