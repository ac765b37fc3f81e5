"""Which keys a store knows, and where the last record of each is: kept in memory, so that a record costs
the same in a large store as in a small one.
"""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Sequence
from itertools import count

__all__ = ["Known"]


class Known:
    """Key -> row of the last record; of the points that are not done also status and attempts so far.

    Examples
    --------
    >>> known = Known()
    >>> known.add(b"k", 1, "failed", 2)
    >>> known.add(b"k", 2, "timeout", 1)
    >>> known.status(b"k")
    ('timeout', 3)
    >>> known.add_done([b"k"], 3)
    >>> known.status(b"k"), known.rows
    (('done', 1), {b'k': 3})
    """

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self._open: dict[bytes, tuple[str, int]] = {}

    def load(self, done: Iterable[tuple[bytes, int]], others: Iterable[tuple[int, bytes, str, int]]) -> None:
        """Take the records of a file in place of what was known.

        Parameters
        ----------
        done : iterable of (bytes, int)
            Key and row of each record that is done, in the order of the rows.
        others : iterable of (int, bytes, str, int)
            Row, key, status and attempts of each other one, in the order of the rows.
        """
        # A dict made by the interpreter itself: a million of keys is read in half a second.
        self.rows = dict(done)
        self._open = {}
        for row, key, status, attempts in others:
            # A failure before the row that is done was mended by it.
            if self.rows.get(key, 0) < row:
                self.add(key, row, status, attempts)

    def add(self, key: bytes, row: int, status: str, attempts: int) -> None:
        """Note where the last record of a key is.

        Parameters
        ----------
        key : bytes
            Of the point.
        row : int
            Of the record.
        status : str
            Of the record.
        attempts : int
            Of this record alone; they add up until the point is done.
        """
        self.rows[key] = row
        if status == "done":
            self._open.pop(key, None)
        else:
            before = self._open.get(key)
            self._open[key] = (status, attempts + (before[1] if before else 0))

    def add_done(self, keys: Sequence[bytes], first: int) -> None:
        """Note records that are done and stand one after the other.

        Parameters
        ----------
        keys : sequence of bytes
            Their keys.
        first : int
            The row of the first.
        """
        self.rows.update(zip(keys, count(first), strict=False))
        for key in keys if self._open else ():
            self._open.pop(key, None)

    def keys(self) -> KeysView[bytes]:
        """Return a view on the keys.

        Returns
        -------
        keys : set-like of bytes
        """
        return self.rows.keys()

    def status(self, key: bytes) -> tuple[str, int]:
        """Return the status of a known key and the attempts spent on it.

        Parameters
        ----------
        key : bytes
            One of :meth:`keys`.

        Returns
        -------
        known : (str, int)
            Attempts are counted only while the point is not done.
        """
        return self._open.get(key, ("done", 1))

    def forget(self, keys: Iterable[bytes]) -> None:
        """Know some keys no more.

        Parameters
        ----------
        keys : iterable of bytes
            They need not be known.
        """
        for key in keys:
            self.rows.pop(key, None)
            self._open.pop(key, None)
