"""Reads single key presses from a terminal without waiting."""

import os
import re
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Self

NAMES = {"\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down"}
"""Escape sequences of the cursor keys, in the normal mode and the application mode of an ECMA-48 terminal."""

KEY = re.compile(r"\x1b[\[O].|.", re.DOTALL)


class Keyboard:
    """A context manager.

    In its ``with`` block, the terminal delivers each key immediately and without echo. Ctrl+C still interrupts the
    program.
    """

    def __init__(self) -> None:
        self._terminal = sys.stdin.fileno()

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._terminal)
        tty.setcbreak(self._terminal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def read_keys(self) -> list[str]:
        """Return the keys pressed since the last call. Each is a character, or ``up`` or ``down`` for an arrow key.

        A closed terminal counts as ``q``.
        """
        if not select.select([self._terminal], [], [], 0)[0]:
            return []
        data = os.read(self._terminal, 1024)
        if not data:
            return ["q"]
        return [NAMES.get(key, key) for key in KEY.findall(data.decode(errors="replace"))]
