"""TensorFlow without what it says of processors and drivers, in which a reader of ours would look for a fault."""

import os
from importlib import import_module

from kwsd.log import silence_stderr

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""TensorFlow's own variable: 0 says all, 3 nothing. What fails is an exception at every level."""


def import_tensorflow() -> None:
    """Import TensorFlow and Keras, and let them say nothing; all that they have to say if `LEVEL` is set."""
    if LEVEL in os.environ:
        return
    os.environ[LEVEL] = "3"
    # TensorFlow prints its first lines from C++, before it reads the variable.
    with silence_stderr():
        import_module("keras")
        import_module("tensorflow")
