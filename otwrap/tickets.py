"""What a store knows of submissions: where each one is, and which points it has."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Ticket", "add_ticket", "change_ticket", "tickets"]

#: Made with the first submission.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (
    id TEXT PRIMARY KEY, model INTEGER, made_at REAL, folder TEXT, scheduler TEXT, payload TEXT, keys BLOB,
    jobs TEXT, is_open INTEGER)
"""
_KEY = 16


class Ticket(NamedTuple):
    """A submission, as a store notes it.

    Attributes
    ----------
    id : str
        Of the submission.
    folder : str
        Where it is on this machine.
    scheduler : str
        Whose queue it is in; empty if it was only prepared.
    keys : sequence of bytes
        Of its points, 16 bytes each.
    jobs : sequence of str
        The ids of its jobs.
    payload : str
        What identifies the model that was written, see :class:`otwrap.batch.BatchFolder`.
    made_at : float
        In seconds since the epoch.
    is_open : bool
        Whether points may still come of it.
    """

    id: str
    folder: str
    scheduler: str
    keys: Sequence[bytes]
    jobs: Sequence[str] = ()
    payload: str = ""
    made_at: float = 0.0
    is_open: bool = True


def add_ticket(connection: sqlite3.Connection, model: int, ticket: Ticket) -> None:
    """Note a submission, in one transaction.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the store.
    model : int
        The number of its model.
    ticket : Ticket
        The submission.
    """
    connection.execute(_SCHEMA)
    connection.execute(
        "INSERT OR REPLACE INTO submissions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            ticket.id,
            model,
            ticket.made_at or time.time(),
            ticket.folder,
            ticket.scheduler,
            ticket.payload,
            b"".join(ticket.keys),
            json.dumps(list(ticket.jobs)),
            ticket.is_open,
        ),
    )


def change_ticket(connection: sqlite3.Connection, identifier: str, **changes: Any) -> None:
    """Change what is noted of a submission; nothing happens if it is not known.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the store.
    identifier : str
        Of the submission.
    **changes
        ``folder``, ``scheduler``, ``jobs`` or ``is_open``.
    """
    connection.execute(_SCHEMA)
    for name in ("folder", "scheduler", "jobs", "is_open"):
        if name in changes:
            value = json.dumps(list(changes[name])) if name == "jobs" else changes[name]
            connection.execute(f"UPDATE submissions SET {name} = ? WHERE id = ?", (value, identifier))


def tickets(connection: sqlite3.Connection, model: int | None) -> list[Ticket]:
    """Return the submissions of a model, the first one first.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the store.
    model : int or None
        Its number.

    Returns
    -------
    tickets : list of Ticket

    Examples
    --------
    >>> connection = sqlite3.connect(":memory:")
    >>> tickets(connection, 1)
    []
    >>> add_ticket(connection, 1, Ticket("3f2a9c1e", "/study/queue", "slurm", [b"k" * 16]))
    >>> change_ticket(connection, "3f2a9c1e", jobs=["12"])
    >>> tickets(connection, 1)[0].jobs
    ['12']
    """
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'submissions'")
    if there.fetchone() is None:
        return []
    rows = connection.execute(
        "SELECT id, folder, scheduler, keys, jobs, payload, made_at, is_open FROM submissions "
        "WHERE model = ? ORDER BY made_at",
        (model,),
    )
    return [
        Ticket(
            identifier,
            folder,
            scheduler,
            [keys[start : start + _KEY] for start in range(0, len(keys), _KEY)],
            json.loads(jobs),
            payload,
            made_at,
            bool(is_open),
        )
        for identifier, folder, scheduler, keys, jobs, payload, made_at, is_open in rows
    ]
