"""Evaluations as tables: rows of plain values, or a data frame where pandas is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .evaluation import Evaluation

__all__ = ["dataframe", "rows"]

_RECORD = Evaluation._fields[2:]


def rows(
    inputs: Sequence[str], outputs: Sequence[str], items: Iterable[tuple[int, Evaluation]]
) -> tuple[list[str], list[list[Any]]]:
    """Return the header and one row for each evaluation.

    Parameters
    ----------
    inputs, outputs : sequence of str
        The descriptions.
    items : iterable of (int, Evaluation)
        Number and record.

    Returns
    -------
    header : list of str
        ``id``, the inputs, the outputs, then the attributes of the record; an output or an input that
        has the name of another column gets its own with a number behind.
    rows : list of list
        A failed evaluation has `None` for its outputs.

    Examples
    --------
    >>> header, table = rows(["x"], ["y"], [(1, Evaluation((1.0,), (2.0,)))])
    >>> header[:4], table[0][:4]
    (['id', 'x', 'y', 'status'], [1, 1.0, 2.0, 'done'])
    """
    header: list[str] = []
    for name in ("id", *inputs, *outputs, *_RECORD):
        unique, number = name, 2
        while unique in header:
            unique, number = f"{name}_{number}", number + 1
        header.append(unique)
    missing = [None] * len(outputs)
    table = [
        [
            number,
            *evaluation.point,
            *(missing if evaluation.output is None else evaluation.output),
            *evaluation[2:],
        ]
        for number, evaluation in items
    ]
    return header, table


def dataframe(inputs: Sequence[str], outputs: Sequence[str], items: Iterable[tuple[int, Evaluation]]) -> Any:
    """Return the evaluations as a data frame, see :func:`rows`.

    Parameters
    ----------
    inputs, outputs : sequence of str
        The descriptions.
    items : iterable of (int, Evaluation)
        Number and record.

    Returns
    -------
    table : pandas.DataFrame

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        msg = "a data frame needs the package pandas: pip install 'otwrap[pandas]'"
        raise ImportError(msg) from error
    header, table = rows(inputs, outputs, items)
    return pandas.DataFrame(table, columns=header)
