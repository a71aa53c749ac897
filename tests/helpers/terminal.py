"""A pseudo-terminal: the test reads what a program draws, and presses keys."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

CONTROL = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[()].)")
HOME = b"\x1b[H"


class Terminal:
    """A program in a pseudo-terminal.

    Parameters
    ----------
    columns, rows : int
        Size of the terminal in characters.

    Attributes
    ----------
    drawn : bytes
        Everything that the program has written so far.
    """

    def __init__(
        self, *command: str | Path, environment: Mapping[str, str], columns: int = 100, rows: int = 30
    ) -> None:
        self._master, self._slave = pty.openpty()
        self.resize(columns, rows)
        self._before = termios.tcgetattr(self._slave)
        sized = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env={"TERM": "xterm-256color"} | sized,
            start_new_session=True,
        )
        self.drawn = b""

    def wait_for(self, shown: Callable[[str], bool]) -> str:
        """Read until `shown` accepts a screen, and return that screen."""
        while True:
            self.drawn += os.read(self._master, 65536)
            # The last piece may be incomplete.
            for screen in self.drawn.split(HOME)[-3:-1]:
                if shown(text := plain(screen)):
                    return text

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal."""
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            os.write(self._master, key.encode())

    def ended(self) -> tuple[int, str]:
        """Wait for the end of the program, and return its exit code and all that it has drawn."""
        os.set_blocking(self._master, False)
        end = os.pidfd_open(self.process.pid)
        while end not in select.select([self._master, end], [], [])[0]:
            self._drain()
        os.close(end)
        self._drain()
        return self.process.wait(), plain(self.drawn)

    def is_as_before(self) -> bool:
        """Return whether the terminal has its first settings again, and shows its ordinary screen."""
        left, entered = self.drawn.rfind(b"\x1b[?1049l"), self.drawn.rfind(b"\x1b[?1049h")
        return termios.tcgetattr(self._slave) == self._before and left >= entered

    def close(self) -> None:
        """Kill the program if it still runs, and close the terminal."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _drain(self) -> None:
        try:
            self.drawn += os.read(self._master, 65536)
        except BlockingIOError:
            return


def plain(drawn: bytes) -> str:
    """Return the text of drawn bytes without colours and cursor movements."""
    return CONTROL.sub(b"", drawn).decode(errors="replace").replace("\r", "")
