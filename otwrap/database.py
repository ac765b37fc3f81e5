"""The SQLite file of a store: its tables, and records as rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from struct import Struct, pack, unpack
from typing import Any
from urllib.parse import quote

from .errors import StoreError
from .evaluation import Evaluation

__all__ = [
    "COLUMNS",
    "INSERT",
    "INSERT_DONE",
    "SCHEMA_VERSION",
    "connect",
    "from_row",
    "made_by",
    "split_rows",
    "to_row",
]

#: Of the file; a store of another version is refused.
SCHEMA_VERSION = 1

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
INSERT OR IGNORE INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}');
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY, inputs TEXT, outputs TEXT, fingerprints TEXT, made_by TEXT, made_at REAL);
CREATE TABLE IF NOT EXISTS evaluations (
    id INTEGER PRIMARY KEY, model INTEGER, key BLOB, codec TEXT, input BLOB, output BLOB,
    status TEXT, cause TEXT, error TEXT, wall_time REAL, cpu_time REAL, peak_memory INTEGER,
    exit_code INTEGER, attempts INTEGER, host TEXT, workdir TEXT, start_time REAL);
"""

COLUMNS = (
    "input, output, status, cause, error, wall_time, cpu_time, peak_memory, "
    "exit_code, attempts, host, workdir, start_time"
)
_FIRST = f"INSERT INTO evaluations (model, key, codec, {COLUMNS}) VALUES (?, ?, 'f8', ?, ?"
#: For :func:`to_row`.
INSERT = _FIRST + ", ?" * 11 + ")"
#: For :func:`split_rows`: binding a value costs a third of a microsecond, and most records are of this kind.
INSERT_DONE = _FIRST + ", 'done', '', '', ?, ?, ?, ?, ?, ?, NULL, ?)"


def connect(path: str, *, readonly: bool) -> sqlite3.Connection:
    """Open a store's file, check that it is one, and make what is missing in it.

    Parameters
    ----------
    path : str
        The file, or ``":memory:"``.
    readonly : bool
        Whether it is only looked at.

    Returns
    -------
    connection : sqlite3.Connection

    Raises
    ------
    StoreError
        If the file is damaged, another program's, or of another schema version.
    """
    connection = None
    try:
        uri = f"file:{quote(path)}?mode=ro" if readonly else path
        connection = sqlite3.connect(
            uri, isolation_level=None, check_same_thread=False, uri=readonly, timeout=30
        )
        tables = _check_schema(connection, path)
        if readonly and not tables:
            msg = f"the store {path} is empty: it is just being made, or its making was cut off; try again"
            raise StoreError(msg)
        if not readonly:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            # One transaction: who looks meanwhile sees all tables or none.
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    except (sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        msg = (
            f"{path} cannot be used as a store: {error}; give the path of a store of otwrap, or of a new file"
        )
        raise StoreError(msg) from error
    return connection


def _check_schema(connection: sqlite3.Connection, path: str) -> set[str]:
    """Refuse a file that another program, or another version, has made; return its tables."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return tables
    row = None
    if "meta" in tables:
        row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    if row is None and not {"meta", "models", "evaluations"} >= tables:
        msg = f"{path} is an SQLite file but no store of otwrap: its tables are {sorted(tables)}"
        raise StoreError(msg)
    if row is not None and row[0] != str(SCHEMA_VERSION):
        msg = (
            f"the store {path} has schema version {row[0]}, this otwrap reads version "
            f"{SCHEMA_VERSION}; use the otwrap that made it, or export it there"
        )
        raise StoreError(msg)
    return tables


def to_row(evaluation: Evaluation) -> tuple[Any, ...]:
    """Return the columns of a record.

    Parameters
    ----------
    evaluation : Evaluation
        The record.

    Returns
    -------
    row : tuple
        As :data:`COLUMNS` says; points and outputs are little-endian doubles.
    """
    point, output = evaluation[:2]
    return (
        pack(f"<{len(point)}d", *point),
        None if output is None else pack(f"<{len(output)}d", *output),
        *evaluation[2:],
    )


def split_rows(
    model: int, records: Iterable[tuple[bytes, Evaluation]]
) -> tuple[list[tuple[Any, ...]], list[tuple[bytes, Evaluation]]]:
    """Return the rows of the records that are done and have kept nothing, and the other records.

    Parameters
    ----------
    model : int
        The number of the model.
    records : iterable of (bytes, Evaluation)
        Keys and records.

    Returns
    -------
    rows : list of tuple
        As :data:`INSERT_DONE` takes them; the second value is the key.
    others : list of (bytes, Evaluation)
        For :func:`to_row`.
    """
    rows: list[tuple[Any, ...]] = []
    others = []
    for key, record in records:
        point, output, status, _, error, *measured, host, workdir, started = record
        if status != "done" or output is None or workdir is not None or error:
            others.append((key, record))
            continue
        rows.append(
            (model, key, _packer(len(point))(*point), _packer(len(output))(*output), *measured, host, started)
        )
    return rows, others


@lru_cache(maxsize=64)
def _packer(size: int) -> Callable[..., bytes]:
    """Return what packs so many doubles."""
    return Struct(f"<{size}d").pack


def from_row(row: Sequence[Any]) -> Evaluation:
    """Return the record that the columns hold.

    Parameters
    ----------
    row : sequence
        As :data:`COLUMNS` says.

    Returns
    -------
    evaluation : Evaluation
    """
    point, output, *rest = row
    return Evaluation(
        unpack(f"<{len(point) // 8}d", point),
        None if output is None else unpack(f"<{len(output) // 8}d", output),
        *rest,
    )


def made_by() -> str:
    """Return program and machine, for the record.

    Returns
    -------
    maker : str
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("otwrap")
    except PackageNotFoundError:
        number = "unknown"
    return f"otwrap {number}, Python {platform.python_version()}, {platform.node()}"
