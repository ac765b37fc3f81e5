"""Parsers of tables."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ._numbers import to_float
from ._words import excerpt, hint, some
from .base import Range
from .files import TextParser

__all__ = ["Csv"]

_QUOTED = re.compile(r'"((?:[^"]|"")*)"|(\S+)')


class _Row(NamedTuple):
    line: int
    fields: list[str]


class Csv(TextParser):
    """One number, or a column, of a table in a text file.

    Rows and columns are counted from 0, as pandas does. Every row must have as many fields as the
    first one. Blank lines do not count.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    column : str or int
        Its name in the header, or its index, from 0 or from -1 for the last.
    row : int or "all", optional
        The row of numbers, from 0, or from -1 for the last; "all" gives the whole column.
        Default is the last.
    separator : str or None, optional
        Between fields; `None` or a space means any blanks. Default is the comma.
    header : int or bool, optional
        How many rows at the top are no numbers; the first of them has the names. By default one
        where `column` is a name; where it is an index, one if what stands there is no number.
    comment : str, optional
        Lines that begin with it do not count; default is that there are none.
    skip : int, optional
        How many lines at the top of the file do not count; default is 0.
    encoding, decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`.

    Raises
    ------
    TypeError, ValueError
        A setting means nothing, or the separator is also the decimal sign.

    Examples
    --------
    >>> from otwrap.parsers import Csv
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "out.csv").write_text("t,u\\n0.0,1.5\\n0.1,2.5\\n")
    ...     Csv("out.csv", "u")(workdir), Csv("out.csv", -1, row="all")(workdir)
    ([2.5], [1.5, 2.5])
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        column: str | int,
        *,
        row: int | str = -1,
        separator: str | None = ",",
        header: int | bool | None = None,
        comment: str | None = None,
        skip: int = 0,
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        if isinstance(column, bool) or not isinstance(column, (str, int)):
            raise TypeError(f"column is {column!r}; give its name, or its index from 0")
        if row != "all" and (isinstance(row, bool) or not isinstance(row, int)):
            raise TypeError(f"row is {row!r}; give its index from 0, -1 for the last, or 'all'")
        if separator is not None and separator != "\t" and not separator.strip():
            separator = None
        if separator == decimal:
            raise ValueError(f"separator and decimal are both {decimal!r}; give another separator, as ';'")
        if isinstance(column, str) and header is not None and not header:
            raise ValueError(f"column {column!r} is a name, and header={header!r} says there are none")
        if (header or 0) < 0 or skip < 0 or comment == "":
            raise ValueError(f"header={header!r}, skip={skip!r}, comment={comment!r}: none below 0 or empty")
        self.column = column
        self.row = row
        self.separator = separator
        self.header = header if header is None else int(header)
        self.comment = comment
        self.skip = skip

    def _read(self, workdir: str) -> list[float]:
        rows = self._rows(self._text(workdir))
        if not rows:
            raise self._error("no rows", "Look at the code's log, or at skip= and comment=", "no match")
        self._check_even(rows)
        index = self._index(rows[0])
        rows = rows[self._header(rows[0], index) :]
        if not rows:
            raise self._error("a header and no rows", "Look at the code's log, or at header=", "no match")
        if isinstance(self.row, int):
            if not -len(rows) <= self.row < len(rows):
                found = f"{len(rows)} rows of numbers"
                raise self._error(found, "Look at the code's log, or correct row=", "no match")
            rows = [rows[self.row]]
        return [self._number(fields[index], line=line) for line, fields in rows]

    def _rows(self, text: str) -> list[_Row]:
        """Return the rows, each with the number of its line in the file."""
        lines = list(enumerate(text.split("\n"), 1))[self.skip :]
        lines = [(number, line) for number, line in lines if line.strip()]
        if self.comment is not None:
            lines = [pair for pair in lines if not pair[1].lstrip().startswith(self.comment)]
        if '"' in text:
            return self._quoted(lines)
        return [_Row(number, line.split(self.separator)) for number, line in lines]

    def _quoted(self, lines: list[tuple[int, str]]) -> list[_Row]:
        if self.separator is None:
            return [
                _Row(n, [a.replace('""', '"') or b for a, b in _QUOTED.findall(line)]) for n, line in lines
            ]
        if len(self.separator) > 1:
            return [
                _Row(n, [field.strip().strip('"') for field in line.split(self.separator)])
                for n, line in lines
            ]
        import csv

        reader = csv.reader(
            [line + "\n" for _, line in lines], delimiter=self.separator, skipinitialspace=True
        )
        try:
            return [_Row(lines[reader.line_num - 1][0], fields) for fields in reader]
        except csv.Error as error:
            line = lines[reader.line_num - 1][0]
            raise self._error(str(error), "Correct the quotes in the table", line=line) from error

    def _check_even(self, rows: list[_Row]) -> None:
        width = len(rows[0].fields)
        for line, fields in rows:
            if len(fields) != width:
                content = excerpt((self.separator or " ").join(fields), 80)
                found = f"{len(fields)} fields in {content} where line {rows[0].line} has {width}"
                advice = "Look whether the table was written to its end, or at separator=, skip= and comment="
                raise self._error(found, advice, "no match", line)

    def _index(self, first: _Row) -> int:
        """Return the index of the column, from 0."""
        names = [name.strip() for name in first.fields]
        if isinstance(self.column, int):
            if not -len(names) <= self.column < len(names):
                found = f"{len(names)} columns"
                raise self._error(found, "Correct the column or separator=", "no match", first.line)
            return self.column % len(names)
        if names.count(self.column) == 1:
            return names.index(self.column)
        many = f"{names.count(self.column)} columns of that name among " if self.column in names else ""
        advice = "Give its index" if many else f"Correct the name{hint(self.column, names)} or separator="
        raise self._error(f"{many}the columns {some(names, 20)}", advice, "no match", first.line)

    def _header(self, first: _Row, index: int) -> int:
        """Return how many rows are header."""
        if self.header is not None:
            return self.header
        if isinstance(self.column, str):
            return 1
        field = first.fields[index].strip()
        try:
            to_float(field, self.decimal)
        except ValueError:
            # "1,234" or "***" is a bad number, not a name.
            return int(not re.match(r"[+-]?[.,]?[0-9]|\*|$", field))
        return 0

    def _sought(self) -> str:
        return f"column {self.column!r}, row {self.row!r}, between separators {self.separator or 'blank'!r}"
