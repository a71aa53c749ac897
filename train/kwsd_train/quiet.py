"""Import of TensorFlow without TensorFlow's messages about processors and drivers, which look like errors."""

import os
from importlib import import_module

from kwsd.log import silence_stderr

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""TensorFlow's environment variable for the log level: 0 shows all messages, and 3 hides all messages.

TensorFlow raises its Python exceptions at every log level.
"""


def import_tensorflow() -> None:
    """Import TensorFlow and Keras, and hide their messages.

    If the user has set the environment variable that `LEVEL` names, TensorFlow shows its messages.
    """
    if LEVEL in os.environ:
        return
    os.environ[LEVEL] = "3"
    # TensorFlow's C++ code prints its first messages before it reads the variable.
    with silence_stderr():
        import_module("keras")
        import_module("tensorflow")
