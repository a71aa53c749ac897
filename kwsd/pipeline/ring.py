"""The ring buffer keeps the newest rows of a stream as one contiguous array."""

import numpy as np

from kwsd.frontend import Float32


class Ring:
    """The newest `capacity` rows of a stream. At the start, all rows are zeros.

    Every row is written twice, `capacity` rows apart. So the newest rows are always one slice, and no read copies them.

    Parameters
    ----------
    capacity : int
        Number of rows to keep.
    row_shape : tuple of int
        Shape of one row: ``()`` for a stream of samples.
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
            n may exceed the capacity.
        """
        kept = rows[-self._capacity :]
        start = (self._next + len(rows) - len(kept)) % self._capacity
        first = min(len(kept), self._capacity - start)
        self._write(start, kept[:first])
        self._write(0, kept[first:])
        self._next = (start + len(kept)) % self._capacity

    @property
    def newest(self) -> Float32:
        """The newest rows, oldest first, as a view. The next `append` changes it.

        Returns
        -------
        ndarray, shape (capacity, *row_shape), float32
        """
        return self._rows[self._next : self._next + self._capacity]

    def clear(self) -> None:
        """Set all rows to zero."""
        self._rows.fill(0)

    def _write(self, start: int, rows: Float32) -> None:
        self._rows[start : start + len(rows)] = rows
        mirror = start + self._capacity
        self._rows[mirror : mirror + len(rows)] = rows
