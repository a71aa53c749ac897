"""Reads bytes of a file or pipe, and can look ahead in both."""

import os
import select
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from kwsd.audio.source import STALL_S, boot_s
from kwsd.errors import AudioDataError

POLL_S = 0.1
"""Interval, in seconds, at which a read from a pipe checks whether it must stop."""

MAX_AHEAD = 16 * 2**20
"""Maximum number of bytes of a pipe that are kept in memory to look ahead: 16 MiB. Titles and pictures before the audio
are smaller than 16 MiB."""

MAX_SPOOLED = 2**30
"""Maximum number of bytes of a pipe that are copied to a temporary file: 1 GiB. Many temporary folders cannot hold more
than 1 GiB."""

CHUNK = 2**16


class ByteSource:
    """A file or pipe from which bytes are read in order.

    The length of a regular file is fixed when the file is opened, so reading ends even if the file grows.

    Parameters
    ----------
    descriptor : int
        File descriptor. If `owned` is set, `close` closes the descriptor.
    name : str
        Name of the source for error messages.
    stopped : callable, optional
        Function that is called ten times per second while a pipe delivers no data. If the function returns True, the
        source ends.

    Attributes
    ----------
    regular : bool
        Whether the source is a regular file, in which any part can be read at any time.
    """

    def __init__(
        self, descriptor: int, name: str, *, owned: bool = True, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self.name = name
        self._descriptor = descriptor
        self._owned = owned
        self._stopped = stopped
        status = os.fstat(descriptor)
        self.regular = stat.S_ISREG(status.st_mode)
        self._place = os.lseek(descriptor, 0, os.SEEK_CUR) if self.regular else 0
        self._end = status.st_size
        self._ahead = bytearray()
        self._ended = False
        self._stalled_s = 0.0

    @classmethod
    def open(cls, path: str | Path, name: str, *, stopped: Callable[[], bool] = lambda: False) -> Self:
        """Open a file or pipe by its path. If a FIFO does not have a writer, opening the FIFO does not block.

        Raises
        ------
        AudioDataError
            It cannot be opened.
        """
        try:
            descriptor = os.open(Path(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise AudioDataError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from None
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise AudioDataError(f"cannot read {name}: Is a directory")
        return cls(descriptor, name, stopped=stopped)

    def close(self) -> None:
        """Close the descriptor. Closing twice is harmless."""
        if self._owned:
            os.close(self._descriptor)
            self._owned = False

    def __del__(self) -> None:
        self.close()

    @property
    def left(self) -> int | None:
        """Number of bytes that have not been read; None if the number is unknown."""
        return max(0, self._end - self._place) if self.regular else None

    def look(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset` bytes ahead without consuming them; return fewer bytes only at the end.

        Raises
        ------
        AudioDataError
            The source cannot be read, or the look-ahead in a pipe would need more than `MAX_AHEAD` bytes of memory.
        """
        if self.regular:
            return self._read_at(self._place + offset, count)
        if offset + count > MAX_AHEAD:
            raise AudioDataError(f"{self.name} has no audio in its first {MAX_AHEAD >> 20} MiB")
        while len(self._ahead) < offset + count and not self._ended:
            self._receive()
        return bytes(self._ahead[offset : offset + count])

    def take(self, count: int) -> bytes:
        """Read the next `count` bytes; return fewer bytes only at the end."""
        data = self.look(0, count)
        self.skip(len(data))
        return data

    def take_available(self, count: int) -> bytes:
        """Read at most `count` bytes and wait only for the first byte; return empty bytes at the end."""
        if self.regular:
            return self.take(count)
        while not self._ahead and not self._ended:
            self._receive(count)
        return self.take(min(count, len(self._ahead)))

    def skip(self, count: int) -> None:
        """Read bytes and discard them."""
        if self.regular:
            self._place += count
            return
        while count > len(self._ahead) and not self._ended:
            count -= len(self._ahead)
            self._ahead.clear()
            self._receive()
        del self._ahead[:count]

    def take_stall(self) -> float:
        """Return how many seconds the process was stopped during the latest wait for a pipe, or 0. Return it once."""
        stalled_s, self._stalled_s = self._stalled_s, 0.0
        return stalled_s

    def skip_rest(self) -> None:
        """Read all bytes up to the end and discard them."""
        if self.regular:
            self._place = self._end
        while self.take_available(CHUNK):
            pass

    def spool(self) -> "ByteSource":
        """Copy a pipe to a temporary file, and return that file as a source.

        If the source is a regular file, return the source itself.

        Raises
        ------
        AudioDataError
            The pipe delivers more than `MAX_SPOOLED` bytes, or the temporary file cannot be written.
        """
        return self if self.regular else self.copy(iter(lambda: self.take_available(CHUNK), b""))

    def copy(self, chunks: Iterable[bytes]) -> "ByteSource":
        """Write bytes to a temporary file, and return that file as a source with the given name.

        Raises
        ------
        AudioDataError
            As for `spool`.
        """
        try:
            with tempfile.TemporaryFile() as file:
                for data in chunks:
                    file.write(data)
                    if file.tell() > MAX_SPOOLED:
                        raise AudioDataError(
                            f"{self.name} must be read as a whole, but has more than {MAX_SPOOLED >> 20} MiB: "
                            "save it as a file first"
                        )
                file.seek(0)
                return ByteSource(os.dup(file.fileno()), self.name)
        except OSError as error:
            raise AudioDataError(f"cannot copy {self.name} to a temporary file: {error.strerror}") from None

    def _read_at(self, place: int, count: int) -> bytes:
        if not 0 <= place < self._end:
            return b""
        try:
            return os.pread(self._descriptor, min(count, self._end - place), place)
        except OSError as error:
            raise AudioDataError(f"cannot read {self.name}: {error.strerror}") from None

    def _receive(self, count: int = CHUNK) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        # Not through sys.stdin: if a thread waits inside its buffer, the interpreter aborts at exit. And a read of a
        # FIFO without a writer would return as if the FIFO had ended, but a poll waits for the writer.
        started_s = boot_s()
        while not poll.poll(POLL_S * 1000):
            if self._stopped():
                self._ended = True
                return
            started_s = boot_s()
        waited_s = boot_s() - started_s
        if waited_s > POLL_S + STALL_S:
            self._stalled_s = waited_s
        try:
            data = os.read(self._descriptor, count)
        except BlockingIOError:
            return
        except OSError as error:
            raise AudioDataError(f"cannot read {self.name}: {error.strerror}") from None
        self._ahead += data
        self._ended = not data
