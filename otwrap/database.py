"""The SQLite file of a store: opened, checked, and its tables read and written."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .errors import StoreError
from .locks import FileLock

__all__ = [
    "SCHEMA_VERSION",
    "TABLES",
    "add_model",
    "append",
    "connect",
    "delete",
    "explained",
    "log_size",
    "makers",
    "models",
    "note_maker",
    "prepare_file",
]

#: Of the file; a store of another version is refused, but one of version 1 is brought up to date.
SCHEMA_VERSION = 2

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT);
INSERT OR IGNORE INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}');
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY, inputs TEXT, outputs TEXT, fingerprints TEXT, made_by TEXT, made_at REAL);
CREATE TABLE IF NOT EXISTS evaluations (
    id INTEGER PRIMARY KEY, model INTEGER, key BLOB, codec TEXT, input BLOB, output BLOB,
    status TEXT, cause TEXT, error TEXT, wall_time REAL, cpu_time REAL, peak_memory INTEGER,
    exit_code INTEGER, attempts INTEGER, host TEXT, workdir TEXT, start_time REAL, settings TEXT);
CREATE TABLE IF NOT EXISTS makers (id INTEGER PRIMARY KEY, model INTEGER, made_at REAL, maker TEXT);
"""

#: A store of version 1 to be written is brought up to date; one to be read looks as if it were.
_OF_VERSION_1 = f"""
ALTER TABLE evaluations ADD COLUMN settings TEXT;
UPDATE meta SET value = '{SCHEMA_VERSION}' WHERE name = 'schema_version';
"""
_VIEW_OF_VERSION_1 = """
CREATE TEMP VIEW evaluations AS SELECT *, NULL AS settings FROM main.evaluations;
CREATE TEMP TABLE makers (id INTEGER PRIMARY KEY, model INTEGER, made_at REAL, maker TEXT);
"""

#: Of a store of this version.
TABLES = ("meta", "models", "evaluations", "makers")


def prepare_file(path: str, lock: FileLock | None) -> None:
    """Make the folder of a store and take the writer's lock; for a reader see that there is a store.

    Parameters
    ----------
    path : str
        The file.
    lock : FileLock or None
        Of the writer; `None` for a reader.

    Raises
    ------
    StoreError
        If the folder cannot be written, another process writes the store, or there is nothing to read.
    """
    if lock is None:
        if not os.path.exists(path):
            msg = f"there is no store {path}; `otwrap run ... --store FILE` makes one"
            raise StoreError(msg)
        return
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        acquired = lock.acquire()
    except OSError as error:
        msg = f"the store {path} cannot be written: {error}; give a path in a writable folder"
        raise StoreError(msg) from error
    if not acquired:
        msg = (
            f"the store {path} is being written by {lock.holder()}; wait for it to end, or give another store"
        )
        raise StoreError(msg)


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
    _check_log(path)
    connection = None
    try:
        connection = _open(path, readonly=readonly)
        version = _check_schema(connection, path)
        if readonly and not version:
            msg = f"the store {path} is empty: it is just being made, or its making was cut off; try again"
            raise StoreError(msg)
        if not readonly:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            # One transaction: who looks meanwhile sees all tables or none.
            update = _OF_VERSION_1 if version == "1" else ""
            connection.executescript(f"BEGIN IMMEDIATE; {update} {_SCHEMA} COMMIT;")
        elif version == "1":
            connection.executescript(_VIEW_OF_VERSION_1)
    except (sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        raise explained(error, path, "cannot be used as a store") from error
    return connection


def _open(path: str, *, readonly: bool) -> sqlite3.Connection:
    """Open the file by its path, or by a URI that says how."""
    target = f"file:{quote(path)}?{_mode(path)}" if readonly else path
    return sqlite3.connect(target, isolation_level=None, check_same_thread=False, uri=readonly, timeout=30)


def _mode(path: str) -> str:
    """Return how a file is opened that is only looked at."""
    if log_size(path):
        # Somebody writes, or was killed: the log stays as it is.
        return "mode=ro"
    if not os.access(os.path.dirname(path) or ".", os.W_OK):
        # SQLite cannot make the files there that readers and writers share, and no writer could either.
        return "immutable=1"
    # Who may write takes these files away at the end; who only reads would leave them there.
    return "mode=rw" if os.access(path, os.W_OK) else "mode=ro"


def log_size(path: str) -> int:
    """Return how much is in the write-ahead log beside a store.

    Parameters
    ----------
    path : str
        The store.

    Returns
    -------
    size : int
        In bytes; 0 where there is none, as after every orderly end.
    """
    try:
        return os.path.getsize(path + "-wal")
    except OSError:
        return 0


def _check_log(path: str) -> None:
    """Refuse an empty file beside a log that is not: SQLite would throw the log away."""
    if log_size(path) and not (os.path.exists(path) and os.path.getsize(path)):
        msg = (
            f"the store {path} is missing or empty, but its log {path}-wal is there and holds records: was the "
            f"store copied or moved without it? Bring the store back beside it, or `otwrap store repair {path}`"
        )
        raise StoreError(msg)


#: What SQLite says -> what to do about it.
_WAYS_OUT = (
    ("not a database", "it is no SQLite file; give the path of a store of otwrap, or of a new file"),
    (
        "malformed",
        "it is damaged; `otwrap store check {path}` says how far, and `otwrap store repair {path}` saves all "
        "records that can be read into a new file",
    ),
    ("readonly", "the file or its folder cannot be written; mend the permissions, or copy it elsewhere"),
    ("full", "free some space, or mend the permissions, and run again"),
    ("disk I/O", "free some space, or mend the permissions, and run again"),
    (
        "unable to open",
        "the file or its folder cannot be written; mend the permissions, or copy it elsewhere",
    ),
    ("locked", "another program has it; wait for it to end"),
)


def explained(error: sqlite3.Error, path: str, what: str) -> StoreError:
    """Return the error to raise for one of SQLite: what happened, and the way out.

    Parameters
    ----------
    error : sqlite3.Error
        What was raised.
    path : str
        The store.
    what : str
        A predicate: the store is to stand before it.

    Returns
    -------
    error : StoreError

    Examples
    --------
    >>> print(explained(sqlite3.OperationalError("database or disk is full"), "s.db", "cannot be read"))
    the store s.db cannot be read: database or disk is full; free some space, or mend the permissions, and run again
    """
    text = str(error)
    advice = next((advice for word, advice in _WAYS_OUT if word in text), "look at the file and its folder")
    return StoreError(f"the store {path} {what}: {text}; {advice.format(path=path)}")


def _check_schema(connection: sqlite3.Connection, path: str) -> str:
    """Refuse a file that another program, or a later version, has made; return its version, empty if new."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return ""
    programs = "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')"
    if found := connection.execute(programs).fetchall():
        raise StoreError(
            f"{path} has programs in it, {found}, which would run here: it is no store of otwrap"
        )
    version = _version(connection) if "meta" in tables else None
    if version is None or not {"models", "evaluations"} <= tables:
        raise StoreError(
            f"{path} is an SQLite file but no store of otwrap: its tables are {sorted(tables)}; give the path of "
            "a store, or of a new file"
        )
    if version not in ("1", str(SCHEMA_VERSION)):
        raise StoreError(
            f"the store {path} has schema version {version}, this otwrap reads versions up to "
            f"{SCHEMA_VERSION}; use the otwrap that made it, or export it there"
        )
    return version


def _version(connection: sqlite3.Connection) -> str | None:
    """Return what a table `meta`, ours or another program's, says of the schema version."""
    columns = {row[1] for row in connection.execute("PRAGMA table_info(meta)")}
    if not {"name", "value"} <= columns:
        return None
    row = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    return None if row is None else str(row[0])


def models(connection: sqlite3.Connection) -> list[tuple[int, dict[str, Any]]]:
    """Return number and identity of each model in a file.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the file.

    Returns
    -------
    models : list of (int, dict)
        In the order in which they were first used: ``inputs``, ``outputs`` and the fingerprints.
    """
    rows = connection.execute("SELECT id, inputs, outputs, fingerprints FROM models ORDER BY id").fetchall()
    return [
        (number, {"inputs": json.loads(inputs), "outputs": json.loads(outputs), **json.loads(fingerprints)})
        for number, inputs, outputs, fingerprints in rows
    ]


def add_model(connection: sqlite3.Connection, model: dict[str, Any], made_by: str) -> int:
    """Write a model's identity.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the file.
    model : dict
        As :func:`models` gives it.
    made_by : str
        Who uses it first, in words.

    Returns
    -------
    number : int
    """
    fingerprints = {name: value for name, value in model.items() if name not in ("inputs", "outputs")}
    cursor = connection.execute(
        "INSERT INTO models (inputs, outputs, fingerprints, made_by, made_at) VALUES (?, ?, ?, ?, ?)",
        (
            json.dumps(model["inputs"]),
            json.dumps(model["outputs"]),
            json.dumps(fingerprints, sort_keys=True),
            made_by,
            time.time(),
        ),
    )
    return int(cursor.lastrowid or 0)


def makers(connection: sqlite3.Connection, model: int | None) -> list[tuple[float, dict[str, str]]]:
    """Return who wrote to a model's part of a file.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the file.
    model : int or None
        Its number.

    Returns
    -------
    makers : list of (float, dict)
        Since when, in seconds since the epoch, and :func:`~otwrap.provenance.provenance`, the first one first.
    """
    rows = connection.execute("SELECT made_at, maker FROM makers WHERE model = ? ORDER BY id", (model,))
    return [(made_at, json.loads(maker)) for made_at, maker in rows]


def note_maker(
    connection: sqlite3.Connection, model: int, maker: dict[str, str], made_at: float | None = None
) -> None:
    """Write who uses a model from now on, unless the last one was the same.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the file.
    model : int
        Its number.
    maker : dict of str
        As :func:`~otwrap.provenance.provenance` returns it.
    made_at : float, optional
        Since when, in seconds since the epoch. Default is now.
    """
    if [last for _, last in makers(connection, model)[-1:]] != [maker]:
        connection.execute(
            "INSERT INTO makers (model, made_at, maker) VALUES (?, ?, ?)",
            (model, time.time() if made_at is None else made_at, json.dumps(maker, sort_keys=True)),
        )


def delete(connection: sqlite3.Connection, model: int | None, keys: Sequence[bytes]) -> int:
    """Remove all records of some keys, in one transaction, and give the space back.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the file.
    model : int or None
        The number of their model.
    keys : sequence of bytes
        Of the points.

    Returns
    -------
    records : int
        How many were removed.
    """
    # What was removed must not come back by a repair, which reads pages whatever they are used for.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("CREATE TEMP TABLE removed (key BLOB PRIMARY KEY)")
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR IGNORE INTO removed VALUES (?)", ((key,) for key in keys))
        count = connection.execute(
            "DELETE FROM evaluations WHERE model = ? AND key IN (SELECT key FROM removed)", (model,)
        ).rowcount
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("DROP TABLE removed")
    # On a nearly full disk the file keeps its size, and new records fill it.
    with contextlib.suppress(sqlite3.Error):
        connection.execute("VACUUM")
    return count


def append(connection: sqlite3.Connection, *statements: tuple[str, Sequence[tuple[Any, ...]]]) -> int:
    """Append records in one transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the file.
    *statements : (str, sequence of tuple)
        :data:`otwrap.rows.INSERT` or :data:`~otwrap.rows.INSERT_DONE`, and its rows.

    Returns
    -------
    first : int
        The number of the first record; the others follow.
    """
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
