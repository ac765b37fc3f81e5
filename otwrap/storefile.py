"""The file of a store: opened, held against other writers, and what it says of its models and their makers."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from .database import add_model, connect, explained, makers, models, note_maker, prepare_file
from .errors import StoreError
from .locks import FileLock
from .tickets import Ticket, add_ticket, change_ticket, tickets

__all__ = ["StoreFile"]

_MEMORY = ":memory:"
_Self = TypeVar("_Self", bound="StoreFile")


class StoreFile:
    """The part of a :class:`~otwrap.store.Store` that is not about evaluations.

    Parameters
    ----------
    path : str or path-like, optional
        The file, made if missing. Default is memory.
    readonly : bool, optional
        Open without the writer's lock. Default is `False`.

    Raises
    ------
    StoreError
        If the file is no store of this version, is damaged, or another process writes it.

    Examples
    --------
    >>> with StoreFile() as file:
    ...     file.models()
    []
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, readonly: bool = False) -> None:
        self.path = _MEMORY if path is None else os.path.abspath(os.path.expanduser(os.fspath(path)))
        self.readonly = readonly
        self._mutex = threading.RLock()
        self._lock = FileLock(self.path + ".lock")
        self._model: int | None = None
        if not self.in_memory:
            prepare_file(self.path, None if readonly else self._lock)
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

    def models(self) -> list[tuple[int, dict[str, Any]]]:
        """Return number and identity of each model in the store; the one used last is the last.

        Returns
        -------
        models : list of (int, dict)
            ``inputs``, ``outputs`` and the fingerprints.
        """
        with self._reading():
            return models(self._connection)

    def maker(self) -> tuple[str, float] | None:
        """Return who made the last model's part of the store, and when.

        Returns
        -------
        maker : (str, float) or None
            Program and machine in words, and seconds since the epoch.
        """
        with self._reading():
            row = self._connection.execute(
                "SELECT made_by, made_at FROM models ORDER BY id DESC LIMIT 1"
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def makers(self) -> list[tuple[float, dict[str, str]]]:
        """Return who has written to the selected model's part of the store, each time that it changed.

        Returns
        -------
        makers : list of (float, dict)
            Since when, in seconds since the epoch, and what :func:`otwrap.provenance.provenance` says:
            versions, host, user and commit.
        """
        with self._reading():
            return makers(self._connection, self._model)

    def note_makers(self, others: Iterable[tuple[float, dict[str, str]]]) -> None:
        """Add who has made records that are taken from another store.

        Parameters
        ----------
        others : iterable of (float, dict)
            What :meth:`makers` of the other store returned; those that are known are left out.
        """
        there = self.makers()
        with self._mutex, contextlib.suppress(sqlite3.Error):
            for made_at, maker in others:
                if self._model is not None and (made_at, maker) not in there:
                    note_maker(self._connection, self._model, maker, made_at)

    def submissions(self) -> list[Ticket]:
        """Return the submissions of the selected model, the first one first.

        Returns
        -------
        submissions : list of Ticket
        """
        with self._reading():
            return tickets(self._connection, self._model)

    def note_submission(self, ticket: Ticket) -> None:
        """Note a submission of the selected model.

        Parameters
        ----------
        ticket : Ticket
            What is queued elsewhere.

        Raises
        ------
        StoreError
            If no model is selected, or the file cannot be written.
        """
        if self._model is None:
            msg = "select a model before noting a submission"
            raise StoreError(msg)
        with self._writing("could not note the submission"):
            add_ticket(self._connection, self._model, ticket)

    def change_submission(self, identifier: str, **changes: Any) -> None:
        """Change what is noted of a submission, see :func:`otwrap.tickets.change_ticket`.

        Parameters
        ----------
        identifier : str
            Of the submission.
        **changes
            ``folder``, ``scheduler``, ``jobs`` or ``is_open``.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        with self._writing("could not note what became of the submission"):
            change_ticket(self._connection, identifier, **changes)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and give its lock back. May be called twice."""
        with self._mutex:
            self._finalizer()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Have the file alone, and tell what is wrong with it."""
        with self._mutex:
            try:
                yield
            except sqlite3.Error as error:
                raise explained(error, self.path, "cannot be read") from error
            except (struct.error, TypeError, ValueError) as error:
                malformed = sqlite3.DatabaseError(f"a record is malformed ({error})")
                raise explained(malformed, self.path, "cannot be read") from error

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Have the file alone, to write."""
        with self._mutex:
            try:
                yield
            except sqlite3.Error as error:
                raise explained(error, self.path, what) from error

    def _add_model(self, model: dict[str, Any], made_by: str) -> int:
        """Write a model's identity and return its number."""
        if self.readonly:
            msg = f"the store {self.path} was opened only to be read"
            raise StoreError(msg)
        with self._mutex:
            try:
                return add_model(self._connection, model, made_by)
            except sqlite3.Error as error:
                raise explained(error, self.path, "could not note the model") from error

    def _note_maker(self, maker: dict[str, str]) -> None:
        """Write who uses the model, if that is somebody else than the last time."""
        # On a full disk what is known can still be served: the first record will tell.
        with self._mutex, contextlib.suppress(sqlite3.Error):
            if maker and self._model is not None and not self.readonly:
                note_maker(self._connection, self._model, maker)


def _close(connection: sqlite3.Connection, lock: FileLock) -> None:
    """Close the file, then give the lock back."""
    connection.close()
    lock.release()
