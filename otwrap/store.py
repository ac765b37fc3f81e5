"""The record of all evaluations: one SQLite file that survives `kill -9`.

What :meth:`Store.put` returned for is on disk as far as this process is concerned: the commit is in the
write-ahead log, and only a failure of the machine itself can lose the last instants. One process
writes; any number may read while it does.

The table of evaluations is append-only, with no index but its row number: the keys live in memory, so
the cost of a record does not grow with the store. The last record of a key counts.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, KeysView, Sequence
from itertools import count
from typing import Any

from .database import COLUMNS, INSERT, INSERT_DONE, connect, from_row, made_by, split_rows, to_row
from .errors import StoreError
from .evaluation import Evaluation
from .fingerprints import difference
from .locks import FileLock

__all__ = ["Store"]

_MEMORY = ":memory:"


class Store:
    """Evaluations kept in a file.

    Parameters
    ----------
    path : str or path-like, optional
        The file, made if missing. Default is a store in memory, which ends with the process.
    readonly : bool, optional
        Open without the writer's lock, to look at a store that may be in use. Default is `False`.

    Raises
    ------
    StoreError
        If the file is no store of this version, is damaged, or another process writes it.

    Examples
    --------
    >>> from otwrap import Evaluation, Store
    >>> with Store() as store:
    ...     store.select(["x"], ["y"], {})
    ...     store.put(b"key", Evaluation((1.0,), (2.0,)))
    ...     store.get(b"key").output
    (2.0,)
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, readonly: bool = False) -> None:
        self.path = _MEMORY if path is None else os.path.abspath(os.path.expanduser(os.fspath(path)))
        self.readonly = readonly
        self._mutex = threading.RLock()
        self._lock = FileLock(self.path + ".lock")
        self._model: int | None = None
        #: key -> row of the last record; and for those not done also status and attempts so far.
        self._rows: dict[bytes, int] = {}
        self._open: dict[bytes, tuple[str, int]] = {}
        self._prepare_file()
        try:
            self._connection = connect(self.path, readonly=self.readonly)
        except BaseException:
            self._lock.release()
            raise
        # A script that does not close its store leaves no lock behind either.
        self._finalizer = weakref.finalize(self, _close, self._connection, self._lock)

    @property
    def in_memory(self) -> bool:
        """Whether the store ends with the process."""
        return self.path == _MEMORY

    def select(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        fingerprints: dict[str, str],
        *,
        on_change: str = "refuse",
    ) -> None:
        """Choose the model whose evaluations are read and written.

        Parameters
        ----------
        inputs, outputs : sequence of str
            Input and output description.
        fingerprints : dict of str
            Of the input, the run and the parsers.
        on_change : {"refuse", "rerun"}, optional
            What happens if the store was made by a model that differs: refuse (default), or keep
            what it has as history and run everything again.

        Raises
        ------
        StoreError
            If the model differs and `on_change` is ``"refuse"``.
        """
        if on_change not in ("refuse", "rerun"):
            msg = f"on_change={on_change!r}: accepted are 'refuse' and 'rerun'"
            raise ValueError(msg)
        wanted = {"inputs": list(inputs), "outputs": list(outputs), **fingerprints}
        models = self._models()
        same = [number for number, model in models if model == wanted]
        if not same and models and on_change == "refuse":
            msg = f"the store {self.path} {difference(models[-1][1], wanted)}"
            raise StoreError(msg)
        self._model = same[-1] if same else self._add_model(inputs, outputs, fingerprints)
        self._load_keys()

    def put(self, key: bytes, evaluation: Evaluation) -> None:
        """Record one evaluation; it survives `kill -9` from then on.

        Parameters
        ----------
        key : bytes
            Of the point, see :func:`otwrap.evaluation.point_key`.
        evaluation : Evaluation
            The record.
        """
        self.put_many([(key, evaluation)])

    def put_many(self, records: Sequence[tuple[bytes, Evaluation]]) -> None:
        """Record several evaluations in one transaction: all or none.

        Parameters
        ----------
        records : sequence of (bytes, Evaluation)
            Keys and records.

        Raises
        ------
        StoreError
            If the disk is full or the file cannot be written; nothing recorded before is lost.
        """
        model = self._model
        if model is None:
            msg = "select a model before putting evaluations"
            raise StoreError(msg)
        if not records:
            return
        rows, others = split_rows(model, records)
        with self._mutex:
            try:
                first = self._insert(
                    (INSERT_DONE, rows),
                    (INSERT, [(model, key, *to_row(evaluation)) for key, evaluation in others]),
                )
            except sqlite3.Error as error:
                msg = (
                    f"the store {self.path} could not record {len(records)} evaluation(s): {error}. What was "
                    "recorded before is safe; free some space or mend the permissions, and run again"
                )
                raise StoreError(msg) from error
            keys = [row[1] for row in rows]
            self._rows.update(zip(keys, count(first), strict=False))
            for key in keys if self._open else ():
                self._open.pop(key, None)
            for row, (key, evaluation) in enumerate(others, first + len(rows)):
                self._index(key, row, evaluation.status, evaluation.attempts)

    def get(self, key: bytes) -> Evaluation | None:
        """Return the last record of a key.

        Parameters
        ----------
        key : bytes
            Of the point.

        Returns
        -------
        evaluation : Evaluation or None
            `None` if the key is not known.
        """
        return self.last(key) if key in self._rows else None

    def last(self, key: bytes) -> Evaluation:
        """Return the last record of a known key.

        Parameters
        ----------
        key : bytes
            One of :meth:`keys`.

        Returns
        -------
        evaluation : Evaluation
        """
        return self.evaluation(self._rows[key])

    def keys(self) -> KeysView[bytes]:
        """Return a view on the keys that are known.

        Returns
        -------
        keys : set-like of bytes
        """
        return self._rows.keys()

    def known(self, key: bytes) -> tuple[str, int]:
        """Return the status of a known key and the attempts spent on it over all calls.

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

    def evaluation(self, number: int) -> Evaluation:
        """Return a record by its number in the store.

        Parameters
        ----------
        number : int
            As :meth:`items` gives it.

        Returns
        -------
        evaluation : Evaluation

        Raises
        ------
        StoreError
            If there is no such record.
        """
        with self._mutex:
            row = self._connection.execute(
                f"SELECT {COLUMNS} FROM evaluations WHERE id = ?", (number,)
            ).fetchone()
        if row is None:
            msg = f"the store {self.path} has no evaluation {number}; it has {len(self)}"
            raise StoreError(msg)
        return from_row(row)

    def items(self) -> Iterator[tuple[int, Evaluation]]:
        """Yield number and last record of each point, in the order they were recorded."""
        for number in sorted(self._rows.values()):
            yield number, self.evaluation(number)

    def description(self) -> tuple[list[str], list[str]]:
        """Return the input and output description of the selected model, or of the last one.

        Returns
        -------
        description : (list of str, list of str)
        """
        models = dict(self._models())
        if not models:
            return [], []
        model = models[self._model if self._model is not None else max(models)]
        return model["inputs"], model["outputs"]

    def maker(self) -> tuple[str, float] | None:
        """Return who made the last model's part of the store, and when.

        Returns
        -------
        maker : (str, float) or None
            Program and machine in words, and seconds since the epoch.
        """
        with self._mutex:
            row = self._connection.execute(
                "SELECT made_by, made_at FROM models ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def select_last(self) -> None:
        """Choose the model that was used last, to look at its evaluations."""
        models = self._models()
        if models:
            self._model = models[-1][0]
            self._load_keys()

    def __len__(self) -> int:
        return len(self._rows)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and give its lock back. May be called twice."""
        with self._mutex:
            self._finalizer()

    def _prepare_file(self) -> None:
        """Make the folder and take the writer's lock."""
        if self.in_memory:
            return
        if self.readonly:
            if not os.path.exists(self.path):
                msg = f"there is no store {self.path}; `otwrap run ... --store FILE` makes one"
                raise StoreError(msg)
            return
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            acquired = self._lock.acquire()
        except OSError as error:
            msg = f"the store {self.path} cannot be written: {error}; give a path in a writable folder"
            raise StoreError(msg) from error
        if not acquired:
            msg = (
                f"the store {self.path} is being written by {self._lock.holder()}; "
                "wait for it to end, or give another store"
            )
            raise StoreError(msg)

    def _models(self) -> list[tuple[int, dict[str, Any]]]:
        """Return number and identity of each model in the file."""
        with self._mutex:
            rows = self._connection.execute(
                "SELECT id, inputs, outputs, fingerprints FROM models ORDER BY id"
            ).fetchall()
        return [
            (
                number,
                {"inputs": json.loads(inputs), "outputs": json.loads(outputs), **json.loads(fingerprints)},
            )
            for number, inputs, outputs, fingerprints in rows
        ]

    def _add_model(self, inputs: Sequence[str], outputs: Sequence[str], fingerprints: dict[str, str]) -> int:
        """Write a model's identity and return its number."""
        if self.readonly:
            msg = f"the store {self.path} was opened only to be read"
            raise StoreError(msg)
        with self._mutex:
            cursor = self._connection.execute(
                "INSERT INTO models (inputs, outputs, fingerprints, made_by, made_at) VALUES (?, ?, ?, ?, ?)",
                (
                    json.dumps(list(inputs)),
                    json.dumps(list(outputs)),
                    json.dumps(fingerprints, sort_keys=True),
                    made_by(),
                    time.time(),
                ),
            )
        return int(cursor.lastrowid or 0)

    def _load_keys(self) -> None:
        """Read the keys of the selected model into memory."""
        self._rows.clear()
        self._open.clear()
        with self._mutex:
            for row, key, status, attempts in self._connection.execute(
                "SELECT id, key, status, attempts FROM evaluations WHERE model = ? ORDER BY id",
                (self._model,),
            ):
                self._index(key, row, status, attempts)

    def _index(self, key: bytes, row: int, status: str, attempts: int) -> None:
        """Note where the last record of a key is."""
        self._rows[key] = row
        if status == "done":
            if self._open:
                self._open.pop(key, None)
        else:
            before = self._open.get(key)
            self._open[key] = (status, attempts + (before[1] if before else 0))

    def _insert(self, *statements: tuple[str, list[tuple[Any, ...]]]) -> int:
        """Append rows in one transaction and return the number of the first."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            last = connection.execute("SELECT max(id) FROM evaluations").fetchone()[0] or 0
            for statement, rows in statements:
                if rows:
                    connection.executemany(statement, rows)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return int(last) + 1


def _close(connection: sqlite3.Connection, lock: FileLock) -> None:
    """Close the file, then give the lock back."""
    connection.close()
    lock.release()
