"""The record of all evaluations: one SQLite file that survives `kill -9`.

What :meth:`Store.put` returned for is on disk as far as this process is concerned: the commit is in the
write-ahead log, and only a failure of the machine itself can lose the last instants. One process
writes; any number may read while it does.

The table of evaluations is append-only, with no index but its row number: the keys live in memory, so
the cost of a record does not grow with the store. The last record of a key counts.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, KeysView, Sequence

from .database import append, delete, explained
from .errors import StoreError
from .evaluation import Evaluation
from .fingerprints import difference
from .known import Known
from .provenance import provenance, told
from .rows import COLUMNS, INSERT, INSERT_DONE, from_row, split_rows, to_row
from .storefile import StoreFile

__all__ = ["Store"]

#: Records that are read at a time.
_PIECE = 500


class Store(StoreFile):
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
        super().__init__(path, readonly=readonly)
        self._known = Known()

    def select(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        fingerprints: dict[str, str],
        *,
        on_change: str = "refuse",
        source: str | os.PathLike[str] | None = None,
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
        source : path, optional
            The folder of the model's source, for the commit that the store notes; see
            :func:`otwrap.provenance.source_folder`. Default is that of the running script.

        Raises
        ------
        StoreError
            If the model differs and `on_change` is ``"refuse"``, or the file is damaged.
        """
        if on_change not in ("refuse", "rerun"):
            msg = f"on_change={on_change!r}: accepted are 'refuse' and 'rerun'"
            raise ValueError(msg)
        wanted = {"inputs": list(inputs), "outputs": list(outputs), **fingerprints}
        there = self.models()
        same = [number for number, model in there if model == wanted]
        if not same and there and on_change == "refuse":
            msg = f"the store {self.path} {difference(there[-1][1], wanted)}"
            raise StoreError(msg)
        maker = {} if self.in_memory else provenance(source)
        self._model = same[-1] if same else self._add_model(wanted, told(maker))
        self._note_maker(maker)
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
                first = append(
                    self._connection,
                    (INSERT_DONE, rows),
                    (INSERT, [(model, key, *to_row(evaluation)) for key, evaluation in others]),
                )
            except sqlite3.Error as error:
                what = f"could not record {len(records)} evaluation(s); what was recorded before is safe"
                raise explained(error, self.path, what) from error
            self._known.add_done([row[1] for row in rows], first)
            for row, (key, evaluation) in enumerate(others, first + len(rows)):
                self._known.add(key, row, evaluation.status, evaluation.attempts)

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
        return self.last(key) if key in self._known.rows else None

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
        return self.evaluation(self._known.rows[key])

    def last_many(self, keys: Sequence[bytes]) -> list[Evaluation]:
        """Return the last records of known keys; several times as fast as one by one.

        Parameters
        ----------
        keys : sequence of bytes
            Some of :meth:`keys`. The records are all in memory at once: ask for some thousands at a time.

        Returns
        -------
        evaluations : list of Evaluation
            In the order of the keys.

        Raises
        ------
        StoreError
            If a record cannot be read.
        """
        numbers = [self._known.rows[key] for key in keys]
        found: dict[int, Evaluation] = {}
        for start in range(0, len(numbers), _PIECE):
            piece = numbers[start : start + _PIECE]
            # A query in memory is made once for each length: nearly always that of a whole piece.
            query = f"SELECT id, {COLUMNS} FROM evaluations WHERE id IN ({', '.join('?' * len(piece))})"
            with self._reading():
                found.update((row[0], from_row(row[1:])) for row in self._connection.execute(query, piece))
        if len(found) < len(set(numbers)):
            msg = f"the store {self.path} has lost records while it was open: was it removed or replaced?"
            raise StoreError(msg)
        return [found[number] for number in numbers]

    def keys(self) -> KeysView[bytes]:
        """Return a view on the keys that are known.

        Returns
        -------
        keys : set-like of bytes
        """
        return self._known.keys()

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
        return self._known.status(key)

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
            If there is no such record, or it cannot be read.
        """
        with self._reading():
            row = self._connection.execute(
                f"SELECT {COLUMNS} FROM evaluations WHERE id = ?", (number,)
            ).fetchone()
            if row is not None:
                return from_row(row)
        msg = f"the store {self.path} has no evaluation {number}; it has {len(self)}"
        raise StoreError(msg)

    def items(self) -> Iterator[tuple[int, Evaluation]]:
        """Yield number and last record of each point, in the order they were recorded."""
        for number, _, evaluation in self.entries():
            yield number, evaluation

    def entries(self) -> Iterator[tuple[int, bytes, Evaluation]]:
        """Yield number, key and last record of each point, in the order they were recorded."""
        rows, number = self._known.rows, 0
        while True:
            # In pieces, so that who writes meanwhile does not wait.
            with self._reading():
                piece = self._connection.execute(
                    f"SELECT id, key, {COLUMNS} FROM evaluations WHERE id > ? AND model = ? ORDER BY id LIMIT ?",
                    (number, self._model, _PIECE),
                ).fetchall()
                found = [(row[0], row[1], from_row(row[2:])) for row in piece if rows.get(row[1]) == row[0]]
            yield from found
            if len(piece) < _PIECE:
                return
            number = piece[-1][0]

    def description(self) -> tuple[list[str], list[str]]:
        """Return the input and output description of the selected model, or of the last one.

        Returns
        -------
        description : (list of str, list of str)
        """
        there = dict(self.models())
        if not there:
            return [], []
        model = there[self._model if self._model is not None else max(there)]
        return model["inputs"], model["outputs"]

    def remove(self, keys: Iterable[bytes]) -> int:
        """Forget points: all their records, former ones included, are overwritten.

        Parameters
        ----------
        keys : iterable of bytes
            Of points of the selected model.

        Returns
        -------
        records : int
            How many were removed.

        Raises
        ------
        StoreError
            If the file cannot be written; then all are there.
        """
        wanted = list(keys)
        with self._mutex:
            try:
                records = delete(self._connection, self._model, wanted)
            except sqlite3.Error as error:
                raise explained(error, self.path, "could not remove records; all are there") from error
            self._known.forget(wanted)
        return records

    def select_last(self) -> None:
        """Choose the model that was used last, to look at its evaluations."""
        there = self.models()
        if there:
            self.select_number(there[-1][0])

    def select_number(self, number: int) -> None:
        """Choose a model by its number in the store, to look at its evaluations.

        Parameters
        ----------
        number : int
            As :meth:`models` gives it.

        Raises
        ------
        StoreError
            If there is no such model.
        """
        numbers = [there for there, _ in self.models()]
        if number not in numbers:
            msg = f"the store {self.path} has no model {number}; it has {', '.join(map(str, numbers)) or 'none'}"
            raise StoreError(msg)
        self._model = number
        self._load_keys()

    def __len__(self) -> int:
        return len(self._known.rows)

    def _load_keys(self) -> None:
        """Read the keys of the selected model into memory."""
        where = "FROM evaluations WHERE model = ? AND status"
        with self._reading():
            self._known.load(
                self._connection.execute(f"SELECT key, id {where} = 'done' ORDER BY id", (self._model,)),
                self._connection.execute(
                    f"SELECT id, key, status, attempts {where} != 'done' ORDER BY id", (self._model,)
                ),
            )
