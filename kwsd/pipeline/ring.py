"""The ring buffer: the newest rows of a stream, readable at any time as one contiguous array."""

import numpy as np

from kwsd.frontend import Float32


class Ring:
    """The newest `capacity` rows of a stream; zeros stand for what has not arrived yet.

    Every row is written twice, `capacity` apart, so that the newest rows are always one slice of the storage
    and reading them copies nothing.

    Parameters
    ----------
    capacity : int
        Rows kept.
    row_shape : tuple of int
        Shape of one row; empty for a stream of samples.
    """

    def __init__(self, capacity: int, row_shape: tuple[int, ...] = ()) -> None:
        self._capacity = capacity
        self._rows = np.zeros((2 * capacity, *row_shape), np.float32)
        self._next = 0

    def append(self, rows: Float32) -> None:
        """Add rows, oldest first.

        Parameters
        ----------
        rows : ndarray, shape (n, *row_shape), float32
            Any n, also more than the capacity.
        """
        kept = rows[-self._capacity :]
        start = (self._next + len(rows) - len(kept)) % self._capacity
        first = min(len(kept), self._capacity - start)
        self._write(start, kept[:first])
        self._write(0, kept[first:])
        self._next = (start + len(kept)) % self._capacity

    @property
    def newest(self) -> Float32:
        """The newest rows, oldest first: a view that the next `append` changes.

        Returns
        -------
        ndarray, shape (capacity, *row_shape), float32
        """
        return self._rows[self._next : self._next + self._capacity]

    def clear(self) -> None:
        """Forget everything: all rows are zeros again."""
        self._rows.fill(0)

    def _write(self, start: int, rows: Float32) -> None:
        self._rows[start : start + len(rows)] = rows
        mirror = start + self._capacity
        self._rows[mirror : mirror + len(rows)] = rows
