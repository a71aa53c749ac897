"""TensorFlow without what it says of processors and drivers, in which a reader of ours would look for a fault."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""TensorFlow's own variable: 0 says all, 3 nothing. What fails is an exception at every level."""


def import_tensorflow() -> None:
    """Import TensorFlow and Keras, and let them say nothing; all that they have to say if `LEVEL` is set."""
    if LEVEL in os.environ:
        return
    os.environ[LEVEL] = "3"
    with _without_standard_error():
        import_module("keras")
        import_module("tensorflow")


@contextmanager
def _without_standard_error() -> Iterator[None]:
    # The first lines come from C++, before it has read its variable.
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
