"""A damaged store, and what can be saved of it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from .database import connect, explained, log_size
from .errors import StoreError
from .integrity import fault_of, fits_its_key, sizes_of
from .locks import FileLock
from .pages import leaf_rows, pages_of
from .rows import COLUMNS

__all__ = ["Repaired", "put_in_place", "repair"]

_WIDTH = COLUMNS.count(",") + 1


class Repaired(NamedTuple):
    """What came of a repair.

    Attributes
    ----------
    path : str
        The new file.
    records : int
        Saved ones.
    lost : list of str
        What could not be saved, in words.
    """

    path: str
    records: int
    lost: list[str]


class _Salvage:
    """The rows of a damaged file, by table."""

    def __init__(self) -> None:
        self.models: dict[int, tuple[Any, ...]] = {}
        self.records: dict[int, tuple[Any, ...]] = {}
        self.makers: dict[int, tuple[Any, ...]] = {}

    def take(self, number: int, columns: Sequence[Any]) -> None:
        """Sort a row in; the number is the first column, which is left empty in the file."""
        row = tuple(columns[1:])
        # Those of version 1 have no settings.
        if len(row) in (_WIDTH + 2, _WIDTH + 3) and isinstance(row[1], bytes) and isinstance(row[0], int):
            self.records[number] = row if len(row) == _WIDTH + 3 else (*row, None)
        elif len(row) == 5 and all(_is_json(cell) for cell in row[:3]):
            self.models[number] = row
        elif len(row) == 3 and isinstance(row[0], int) and _is_json(row[2]):
            self.makers[number] = row

    def name_the_nameless(self) -> list[str]:
        """Make up models for the records whose own is lost; return what to tell."""
        told = []
        for row in list(self.records.values()):
            if (
                row[0] not in self.models
                and fault_of(row, {row[0]: _size_of(row)}) == ""
                and row[4] is not None
            ):
                inputs, outputs = _size_of(row)
                names = [f"x{i}" for i in range(inputs)], [f"y{i}" for i in range(outputs)]
                made = (
                    json.dumps(names[0]),
                    json.dumps(names[1]),
                    json.dumps({"run": "lost"}),
                    "repair",
                    0.0,
                )
                self.models[row[0]] = made
                told.append(
                    f"the names of model {row[0]}: its records are saved with x0 ... and y0 ...; `otwrap export` them, "
                    "mend the names, and `otwrap import` the table"
                )
        return told

    def judge(self) -> list[str]:
        """Leave out the records that are damaged in themselves; return what to tell."""
        sizes = sizes_of(
            {
                number: {"inputs": json.loads(row[0]), "outputs": json.loads(row[1])}
                for number, row in self.models.items()
            }
        )
        faults: Counter[str] = Counter()
        for number, row in list(self.records.items()):
            if fault := fault_of(row, sizes):
                faults[fault] += 1
                del self.records[number]
        others = [number for number, row in self.records.items() if not fits_its_key(row)]
        # Where most keys are those of the points, the rest is damage; elsewhere they are of another kind.
        if len(others) * 2 < len(self.records):
            for number in others:
                faults["its point does not fit its key"] += 1
                del self.records[number]
        return [f"{many} record(s): {fault}" for fault, many in faults.items()]


def _is_json(cell: object) -> bool:
    """Whether a column is a text of JSON."""
    try:
        json.loads(cell if isinstance(cell, str) else "")
    except ValueError:
        return False
    return True


def _size_of(row: Sequence[Any]) -> tuple[int, int]:
    """Return how many numbers a record has."""
    point, output = (cell if isinstance(cell, bytes) else b"" for cell in row[3:5])
    return len(point) // 8, len(output) // 8


def repair(path: str, target: str | None = None) -> Repaired:
    """Save every record of a damaged store that can be read, into a new file. The old one stays as it is.

    Parameters
    ----------
    path : str
        The damaged store.
    target : str, optional
        The new file, not yet there. Default is beside the old one: ``s.db`` becomes ``s-repaired.db``.

    Returns
    -------
    repaired : Repaired

    Raises
    ------
    StoreError
        If nothing can be saved, the new file is there, or somebody writes the old one.
    """
    old = os.path.abspath(os.path.expanduser(path))
    stem, suffix = os.path.splitext(old)
    new = f"{stem}-repaired{suffix}" if target is None else os.path.abspath(os.path.expanduser(target))
    if os.path.exists(new):
        raise StoreError(f"{new} is there already; give another file to repair into")
    if not os.path.exists(old) and not log_size(old):
        raise StoreError(f"there is no store {old}")
    with _nobody_writes(old):
        salvage = _Salvage()
        pages, expected = pages_of(old)
        for number, columns in leaf_rows(pages):
            salvage.take(number, columns)
        lost = [*salvage.name_the_nameless(), *salvage.judge(), *_gaps(salvage.records)]
        if expected > len(pages):
            last = max(salvage.records, default=0)
            lost.append(
                f"the file was cut off: {len(pages)} of its {expected} pages are there; records behind number {last} "
                "cannot be counted"
            )
        if not salvage.models and not salvage.records:
            raise StoreError(f"nothing in {old} can be read as a store of otwrap; the file was left as it is")
        _write(salvage, new)
    return Repaired(new, len(salvage.records), lost)


@contextlib.contextmanager
def _nobody_writes(path: str) -> Any:
    """Hold a store's lock, unless its folder is one that nobody can write."""
    lock = FileLock(path + ".lock")
    try:
        if not lock.acquire():
            raise StoreError(f"the store {path} is being written by {lock.holder()}; wait for it to end")
    except OSError:
        pass
    try:
        yield
    finally:
        lock.release()


def _gaps(records: Mapping[int, Any]) -> list[str]:
    """Return the numbers that are missing, in words: a store numbers its records without gaps."""
    gaps, expected = [], 1
    for number in sorted(records):
        if number > expected:
            gaps.append(f"{expected}" if number == expected + 1 else f"{expected}-{number - 1}")
        expected = number + 1
    missing = max(records, default=0) - len(records)
    if not missing:
        return []
    shown = ", ".join(gaps[:10]) + (" ..." if len(gaps) > 10 else "")
    return [f"{missing} record(s) numbered {shown}: not found, or removed before"]


def _write(salvage: _Salvage, new: str) -> None:
    """Write a store under another name first, so that the new file is whole or not there."""
    draft = f"{new}.draft"
    try:
        connection = connect(draft, readonly=False)
        try:
            connection.execute("BEGIN")
            for table, rows in (
                ("models", salvage.models), ("evaluations", salvage.records), ("makers", salvage.makers),
            ):  # fmt: skip
                marks = ", ".join("?" * (1 + len(next(iter(rows.values()), ()))))
                connection.executemany(
                    f"INSERT INTO {table} VALUES ({marks})",
                    ((number, *rows[number]) for number in sorted(rows)),
                )
            connection.execute("COMMIT")
        finally:
            connection.close()
        os.replace(draft, new)
    except sqlite3.Error as error:
        raise explained(error, new, "could not be written") from error
    finally:
        for path in (draft, f"{draft}-wal", f"{draft}-shm"):
            Path(path).unlink(missing_ok=True)


def put_in_place(new: str, old: str) -> str:
    """Have a repaired store take the place of the damaged one, which gets another name.

    Parameters
    ----------
    new, old : str
        The files.

    Returns
    -------
    kept : str
        Where the damaged one is now, with its log beside it.
    """
    old = os.path.abspath(os.path.expanduser(old))
    kept = next(name for i in count() if not os.path.exists(name := f"{old}.damaged{i or ''}"))
    with _nobody_writes(old):
        # The log first: it must never stand beside a file that it is not of.
        for suffix in ("-wal", "-shm", ""):
            if os.path.exists(old + suffix):
                os.replace(old + suffix, kept + suffix)
        os.replace(new, old)
    return kept
