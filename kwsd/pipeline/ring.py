"""The ring buffer stores the newest rows of a stream in one contiguous array."""

import numpy as np

from kwsd.frontend import Float32


class Ring:
    """Stores the newest `capacity` rows of a stream. All rows of a new ring buffer are zeros.

    The buffer writes every row twice, at two places that are `capacity` rows apart. For this reason, the newest rows
    are always one slice, and reading does not copy the rows.

    Parameters
    ----------
    capacity : int
        Number of rows that the ring buffer stores.
    row_shape : tuple of int
        Shape of one row. The shape is ``()`` for a stream of samples.
    """

    def __init__(self, capacity: int, row_shape: tuple[int, ...] = ()) -> None:
        self._capacity = capacity
        self._rows = np.zeros((2 * capacity, *row_shape), np.float32)
        self._next = 0

    def append(self, rows: Float32) -> None:
        """Append rows to the buffer, oldest row first.

        Parameters
        ----------
        rows : ndarray, shape (n, *row_shape), float32
            Rows to append. The number of rows n may exceed the capacity.
        """
        kept = rows[-self._capacity :]
        start = (self._next + len(rows) - len(kept)) % self._capacity
        first = min(len(kept), self._capacity - start)
        self._write(start, kept[:first])
        self._write(0, kept[first:])
        self._next = (start + len(kept)) % self._capacity

    @property
    def newest(self) -> Float32:
        """Return a view of the newest rows, oldest first. The next `append` changes the view.

        Returns
        -------
        ndarray, shape (capacity, *row_shape), float32
        """
        return self._rows[self._next : self._next + self._capacity]

    def clear(self) -> None:
        """Set all rows of the buffer to zero."""
        self._rows.fill(0)

    def _write(self, start: int, rows: Float32) -> None:
        self._rows[start : start + len(rows)] = rows
        mirror = start + self._capacity
        self._rows[mirror : mirror + len(rows)] = rows
