"""Whether a store is whole: the file, its tables, and each record."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .database import connect, log_size, models
from .errors import StoreError
from .evaluation import STATUSES, point_key
from .rows import COLUMNS

__all__ = ["Findings", "check_store", "fault_of", "fits_its_key", "sizes_of"]

_PIECE = 1000
#: Of each kind of fault.
_SHOWN = 5


class Findings(NamedTuple):
    """What a look at a store has found.

    Attributes
    ----------
    records : int
        Records that can be read, former ones of a point included.
    points : int
        Points that they are of.
    models : int
        Models that the store has served.
    problems : list of str
        What is wrong.
    remarks : list of str
        What is worth knowing and not wrong.
    """

    records: int
    points: int
    models: int
    problems: list[str]
    remarks: list[str]


def check_store(path: str) -> Findings:
    """Look at a store as a whole, and change nothing.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    findings : Findings

    Examples
    --------
    >>> import os, tempfile
    >>> from otwrap import Evaluation, Store
    >>> path = os.path.join(tempfile.mkdtemp(), "s.db")
    >>> with Store(path) as store:
    ...     store.select(["x"], ["y"], {})
    ...     store.put(b"key", Evaluation((1.0,), (2.0,)))
    >>> check_store(path)[:4]
    (1, 1, 1, [])
    """
    path = os.path.abspath(os.path.expanduser(path))
    remarks = list(_beside(path))
    if not os.path.exists(path) and not log_size(path):
        return Findings(0, 0, 0, [f"there is no store {path}"], remarks)
    try:
        connection = connect(path, readonly=True)
    except StoreError as error:
        return Findings(0, 0, 0, [str(error)], remarks)
    try:
        return _looked_at(connection, remarks)
    finally:
        connection.close()


def _beside(path: str) -> Iterator[str]:
    """Yield what the files beside a store say."""
    if size := log_size(path):
        yield (
            f"the log {path}-wal holds {size} bytes: a driver is at work, or was killed. The next one takes them in; "
            "until then copy or move both files together"
        )
    if os.path.exists(path + ".lock"):
        with open(path + ".lock", encoding="utf-8", errors="replace") as file:
            yield f"{path}.lock was left by, or is held by, {file.read() or 'another process'}"


def _looked_at(connection: sqlite3.Connection, remarks: list[str]) -> Findings:
    """Return what is found in an open file."""
    problems = []
    try:
        told = [row[0] for row in connection.execute("PRAGMA integrity_check(10)")]
        problems += [f"SQLite: {line}" for line in told if line != "ok"]
    except sqlite3.Error as error:
        problems.append(f"SQLite: {error}")
    sizes = {}
    try:
        sizes = sizes_of(dict(models(connection)))
    except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
        problems.append(f"the models cannot be read: {error}")
    faults: dict[str, list[int]] = {}
    points, others, count = set(), 0, 0
    try:
        for number, row in _records(connection):
            count += 1
            points.add(row[:2])
            if fault := fault_of(row, sizes):
                faults.setdefault(fault, []).append(number)
            elif not fits_its_key(row):
                others += 1
    except (sqlite3.Error, ValueError) as error:
        problems.append(f"after {count} records the next ones cannot be read: {error}")
    problems += [_told(fault, numbers) for fault, numbers in faults.items()]
    if others and others < count:
        remarks.append(
            f"{others} of {count} records have a key that is not that of their point: stochastic=True and match_digits= "
            "make such ones, and so does damage"
        )
    return Findings(count - sum(map(len, faults.values())), len(points), len(sizes), problems, remarks)


def _told(fault: str, numbers: Sequence[int]) -> str:
    """Return a fault with the records that have it."""
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    plural = "s" * (len(numbers) > 1)
    return f"record{plural} {', '.join(map(str, numbers[:_SHOWN]))}{more}: {fault}"


def _records(connection: sqlite3.Connection) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield number and columns of each record."""
    number = 0
    while True:
        found = connection.execute(
            f"SELECT id, model, key, codec, {COLUMNS} FROM evaluations WHERE id > ? ORDER BY id LIMIT ?",
            (number, _PIECE),
        ).fetchall()
        for number, *row in found:
            yield number, tuple(row)
        if len(found) < _PIECE:
            return


def sizes_of(there: Mapping[int, Mapping[str, Any]]) -> dict[int, tuple[int, int]]:
    """Return how many inputs and outputs each model has.

    Parameters
    ----------
    there : mapping
        Number -> identity, as :func:`otwrap.database.models` gives it.

    Returns
    -------
    sizes : dict of (int, int)
    """
    return {number: (len(model["inputs"]), len(model["outputs"])) for number, model in there.items()}


def fault_of(row: Sequence[Any], sizes: Mapping[int, tuple[int, int]]) -> str:
    """Return what is wrong with a record.

    Parameters
    ----------
    row : sequence
        Model, key, codec, and as :data:`otwrap.rows.COLUMNS` says.
    sizes : mapping
        As :func:`sizes_of` returns it.

    Returns
    -------
    fault : str
        Empty if nothing is.

    Examples
    --------
    >>> row = (1, b"k", "f8", bytes(8), None, "lost", "", "", 0.0, None, None, None, 1, "", None, 0.0, None)
    >>> fault_of(row, {1: (1, 1)})
    "its status 'lost' is none of done, failed, timeout, killed, invalid, cancelled"
    """
    (
        model,
        key,
        codec,
        point,
        output,
        status,
        cause,
        error,
        wall_time,
        *_,
        attempts,
        host,
        _,
        started,
        settings,
    ) = row
    if model not in sizes:
        return f"it belongs to model {model!r}, which the store does not have"
    if not isinstance(key, bytes) or codec != "f8":
        return "its key or its codec is none of this otwrap"
    if status not in STATUSES:
        return f"its status {status!r} is none of {', '.join(STATUSES)}"
    if (output is None) is (status == "done"):
        return "it is done and has no output" if output is None else f"it is {status} and has an output"
    inputs, outputs = sizes[model]
    if not _is_of(point, inputs) and not (point == b"" and status != "done"):
        return f"its input is not {inputs} numbers"
    if output is not None and not _is_of(output, outputs):
        return f"its output is not {outputs} numbers"
    if not isinstance(attempts, int) or not all(isinstance(text, str) for text in (cause, error, host)):
        return "its texts or its attempts are malformed"
    if not all(isinstance(number, (int, float)) for number in (wall_time, started)):
        return "its times are no numbers"
    try:
        json.loads(settings or "{}")
    except (TypeError, ValueError):
        return "its settings are malformed"
    return ""


def _is_of(blob: object, size: int) -> bool:
    """Whether a value is so many doubles."""
    return isinstance(blob, bytes) and len(blob) == 8 * size


def fits_its_key(row: Sequence[Any]) -> bool:
    """Whether a record without a fault has the key of its point.

    Parameters
    ----------
    row : sequence
        As of :func:`fault_of`.

    Returns
    -------
    fits : bool
        `False` for stochastic models and where only some digits count, or after damage.
    """
    return bool(row[1] == point_key(memoryview(row[3]).cast("d").tolist()))
