"""Designs of experiments in CSV files: read by the names of the inputs, written with all digits."""

from __future__ import annotations

import csv
import difflib
import io
import math
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .errors import OtwrapError

__all__ = ["Design", "DesignError", "csv_text", "read_columns", "read_design"]

#: In the order in which they are looked for; a line without any of them is split at blanks.
_SEPARATORS = (";", "\t", "|", ",")


class DesignError(OtwrapError):
    """A file is no design of experiments for the inputs.

    Examples
    --------
    >>> from otwrap import OtwrapError
    >>> from otwrap.designs import DesignError
    >>> issubclass(DesignError, OtwrapError)
    True
    """


class Design(NamedTuple):
    """What a design file holds.

    Attributes
    ----------
    points : list of tuple of float, shape (size, input dimension)
        In the order of the inputs.
    named : bool
        Whether the columns were matched by a header; by position otherwise.
    ignored : tuple of str
        Columns that are no input.
    """

    points: list[tuple[float, ...]]
    named: bool
    ignored: tuple[str, ...]


def read_design(path: str | os.PathLike[str], inputs: Sequence[str]) -> Design:
    """Read the points of a CSV file.

    Parameters
    ----------
    path : path
        Columns are separated by ``;``, tab, ``|``, ``,`` or blanks. If the first line holds names, the
        columns are matched by them, in any order; otherwise by position. Lines that start with ``#``
        are skipped, except for a first one with the names.
    inputs : sequence of str
        The input description.

    Returns
    -------
    design : Design

    Raises
    ------
    DesignError
        If columns are missing, or a value is no finite number.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "design.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("b;a;comment\\n2;1;first\\n")
    >>> read_design(path, ["a", "b"])
    Design(points=[(1.0, 2.0)], named=True, ignored=('comment',))
    """
    name = os.fspath(path)
    lines = _lines(name)
    if not lines:
        raise DesignError(f"{name} is empty; a line for each point is expected, with {', '.join(inputs)}")
    table = _split(lines)
    header = _header(table, inputs)
    ignored: list[str] = []
    if header is None:
        columns = _by_position(name, table[0][1], inputs)
    else:
        columns, ignored = _by_name(name, header, inputs)
        table = table[1:]
    if not table:
        raise DesignError(f"{name} has names but no point; a line for each point is expected")
    width = len(header if header is not None else inputs)
    points = [_point(name, number, cells, columns, inputs, width) for number, cells in table]
    return Design(points, header is not None, tuple(ignored))


def read_columns(
    path: str | os.PathLike[str], names: Sequence[str]
) -> tuple[list[tuple[int, list[str]]], tuple[str, ...]]:
    """Read some columns of a CSV file with a line of names, as texts.

    Parameters
    ----------
    path : path
        As for :func:`read_design`.
    names : sequence of str
        The columns to read.

    Returns
    -------
    rows : list of (int, list of str)
        The number of the line, and a text for each name; none where the line has another number of cells.
    ignored : tuple of str
        The other columns.

    Raises
    ------
    DesignError
        If a column is missing.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "runs.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("b,a,id\\n2,,1\\n")
    >>> read_columns(path, ["a", "b"])
    ([(2, ['', '2'])], ('id',))
    """
    name = os.fspath(path)
    lines = _lines(name)
    table = _split(lines) if lines else [(0, [""])]
    header = table[0][1]
    columns, ignored = _by_name(name, header, names)
    rows = [
        (number, [cells[column] for column in columns] if len(cells) == len(header) else [])
        for number, cells in table[1:]
    ]
    return rows, tuple(ignored)


def csv_text(header: Sequence[str], table: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV, with the shortest text that reads back as the same double.

    Parameters
    ----------
    header : sequence of str
        The names of the columns.
    table : iterable of sequence
        The rows; `None` becomes an empty cell.

    Returns
    -------
    text : str
        Separated by commas; lines end with a line feed.

    Examples
    --------
    >>> print(csv_text(["a", "b"], [[0.1 + 0.2, None]]), end="")
    a,b
    0.30000000000000004,
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([repr(cell) if isinstance(cell, float) else cell for cell in row] for row in table)
    return text.getvalue()


_Row = tuple[int, list[str]]


def _lines(name: str) -> list[tuple[int, str]]:
    """Return number and text of the lines that say something."""
    try:
        with open(name, encoding="utf-8-sig") as file:
            lines = [(number, line.strip("\r\n")) for number, line in enumerate(file, 1) if line.strip()]
    except UnicodeDecodeError as error:
        raise DesignError(f"{name} is not a text in UTF-8 ({error}); save it as CSV in UTF-8") from None
    except OSError as error:
        raise DesignError(f"the design {name} cannot be read: {error.strerror}") from None
    if lines and lines[0][1].lstrip().startswith("#"):
        # numpy.savetxt writes the names so.
        lines[0] = (lines[0][0], lines[0][1].lstrip().lstrip("#").strip())
    return [
        (number, line)
        for i, (number, line) in enumerate(lines)
        if i == 0 or not line.lstrip().startswith("#")
    ]


def _split(lines: Sequence[tuple[int, str]]) -> list[_Row]:
    """Return the cells of each line."""
    ends = (lines[0][1], lines[-1][1])
    separator = next((mark for line in ends for mark in _SEPARATORS if mark in line), None)
    if separator is None:
        return [(number, line.split()) for number, line in lines]
    texts = [line for _, line in lines]
    rows = list(csv.reader(texts, delimiter=separator, skipinitialspace=True))
    return [(number, [cell.strip() for cell in row]) for (number, _), row in zip(lines, rows, strict=False)]


def _header(table: list[_Row], inputs: Sequence[str]) -> list[str] | None:
    """Return the names in the first row, if it is one of names."""
    first = table[0][1]
    if set(inputs) <= set(first) or not any(_number(cell) is not None for cell in first):
        return first
    return None


def _by_name(name: str, header: Sequence[str], inputs: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the column of each input, and the names of the other columns."""
    missing = [item for item in inputs if item not in header]
    if missing:
        close = difflib.get_close_matches(missing[0], header, 1)
        units = [cell for cell in header if _without_unit(cell) == missing[0].lower() != cell.lower()]
        hint = f"; is {close[0]!r} meant for {missing[0]!r}?" if close else ""
        if units:
            hint = f"; {units[0]!r} seems to be {missing[0]!r} with its unit: if that is the model's, write {missing[0]!r} alone, for nothing is converted"
        msg = (
            f"{name} has no column {', '.join(map(repr, missing))}; its columns are {', '.join(header)}, "
            f"the inputs are {', '.join(inputs)}{hint}"
        )
        raise DesignError(msg)
    twice = [item for item in inputs if header.count(item) > 1]
    if twice:
        raise DesignError(
            f"{name} has the column {twice[0]!r} {header.count(twice[0])} times; once is expected"
        )
    return [header.index(item) for item in inputs], [item for item in header if item not in inputs]


def _without_unit(cell: str) -> str:
    """Return the name in a cell such as ``T [K]``, ``T (K)`` or ``T / K``."""
    return re.split(r"[\[({/]", cell)[0].strip().lower()


def _by_position(name: str, first: Sequence[str], inputs: Sequence[str]) -> list[int]:
    """Return the column of each input of a file without names."""
    if len(first) != len(inputs):
        msg = (
            f"{name} has {len(first)} column(s) and no line of names; {len(inputs)} are expected: "
            f"{', '.join(inputs)}. Write the names into the first line to have the columns matched by them"
        )
        raise DesignError(msg)
    return list(range(len(inputs)))


def _point(
    name: str, number: int, cells: Sequence[str], columns: Sequence[int], inputs: Sequence[str], width: int
) -> tuple[float, ...]:
    """Return the point of a line."""
    if len(cells) != width:
        raise DesignError(f"{name}, line {number}: {len(cells)} value(s), {width} are expected")
    values = []
    for item, column in zip(inputs, columns, strict=True):
        value = _number(cells[column])
        if value is None or not math.isfinite(value):
            hint = "; the decimal mark is a point" if "," in cells[column] else ""
            msg = f"{name}, line {number}: {item} is {cells[column]!r}, not a finite number{hint}"
            raise DesignError(msg)
        values.append(value)
    return tuple(values)


def _number(text: str) -> float | None:
    """Return the number that a text is, if it is one."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None
