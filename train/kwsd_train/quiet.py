"""Imports TensorFlow without its messages about processors and drivers, which a user could mistake for errors."""

import os
from importlib import import_module

from kwsd.log import silence_stderr

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""TensorFlow's environment variable: 0 shows all messages, 3 shows none. Errors are raised at every level."""


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their messages, unless the user has set `LEVEL`."""
    if LEVEL in os.environ:
        return
    os.environ[LEVEL] = "3"
    # TensorFlow's C++ code prints its first messages before it reads the variable.
    with silence_stderr():
        import_module("keras")
        import_module("tensorflow")
