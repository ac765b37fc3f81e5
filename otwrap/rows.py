"""Records as rows of a store's table of evaluations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from struct import Struct, pack
from typing import Any

from .evaluation import Evaluation

__all__ = ["COLUMNS", "INSERT", "INSERT_DONE", "from_row", "split_rows", "to_row"]

COLUMNS = (
    "input, output, status, cause, error, wall_time, cpu_time, peak_memory, "
    "exit_code, attempts, host, workdir, start_time, settings"
)
_FIRST = f"INSERT INTO evaluations (model, key, codec, {COLUMNS}) VALUES (?, ?, 'f8', ?, ?"
#: For :func:`to_row`.
INSERT = _FIRST + ", ?" * 12 + ")"
#: For :func:`split_rows`: binding a value costs a third of a microsecond, and most records are of this kind.
INSERT_DONE = _FIRST + ", 'done', '', '', ?, ?, ?, ?, ?, ?, NULL, ?, NULL)"


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
    point, output, *rest, settings = evaluation
    return (
        pack(f"<{len(point)}d", *point),
        None if output is None else pack(f"<{len(output)}d", *output),
        *rest,
        None if settings is None else json.dumps(settings, default=str),
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
        point, output, status, _, error, *measured, host, workdir, started, settings = record
        if status != "done" or output is None or workdir is not None or error or settings:
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


@lru_cache(maxsize=64)
def _unpacker(length: int) -> Callable[[bytes], tuple[float, ...]]:
    """Return what unpacks doubles from so many bytes."""
    return Struct(f"<{length // 8}d").unpack


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
    point, output, *rest, settings = row
    return Evaluation._make(
        (
            _unpacker(len(point))(point),
            None if output is None else _unpacker(len(output))(output),
            *rest,
            None if settings is None else json.loads(settings),
        )
    )
