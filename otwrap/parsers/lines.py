"""Parsers of lines: by line and column, by key."""

from __future__ import annotations

import os
import re

from ._numbers import WORD
from ._select import check_occurrence, describe, select
from ._words import excerpt, hint, some
from .base import Range
from .files import TextParser

__all__ = ["KeyValue", "LineColumn"]

_BLANKS = re.compile(r"""[ \t"']*""")


class LineColumn(TextParser):
    """The number at a line and column, as an editor counts them.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    line : int
        From 1, or from -1 for the last; blank lines at the end of the file are not counted.
    column : int
        From 1, or from -1 for the last.
    separator : str, optional
        Between columns; default is any blanks.
    comment : str, optional
        Lines that begin with it are not counted; default counts all.
    skip_blank : bool, optional
        Whether blank lines are not counted; default counts them.
    encoding, decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`.

    Raises
    ------
    ValueError
        Line or column is 0 or no integer, or another setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import LineColumn
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "out.txt").write_text("# t u\\n0.0 1.5\\n0.1 2.5\\n")
    ...     LineColumn("out.txt", -1, 2)(workdir), LineColumn("out.txt", 1, 2, comment="#")(workdir)
    ([2.5], [1.5])
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        line: int,
        column: int,
        *,
        separator: str | None = None,
        comment: str | None = None,
        skip_blank: bool = False,
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        for name, number in (("line", line), ("column", column)):
            if not isinstance(number, int) or isinstance(number, bool) or number == 0:
                raise ValueError(f"{name} is {number!r}; give 1, 2, ... or -1, -2, ... from the end")
        if separator == "" or comment == "":
            raise ValueError("separator and comment cannot be empty; leave them out for the default")
        self.line = line
        self.column = column
        self.separator = None if separator is None or separator.isspace() and separator != "\t" else separator
        self.comment = comment
        self.skip_blank = bool(skip_blank)

    def _read(self, workdir: str) -> float:
        lines = self._lines(self._text(workdir))
        if abs(self.line) > len(lines):
            comments = " that count" if self.comment or self.skip_blank else ""
            found = f"{len(lines)} lines{comments}"
            raise self._error(found, "Look at the code's log, or correct the line", "no match")
        number, content = lines[self.line - 1 if self.line > 0 else self.line]
        words = content.split(self.separator)
        if abs(self.column) > len(words):
            found = f"{len(words)} columns in {excerpt(content, 80)}"
            raise self._error(found, "Correct the column or separator=", "no match", number)
        word = words[self.column - 1 if self.column > 0 else self.column]
        return self._number(word, line=number)

    def _lines(self, text: str) -> list[tuple[int, str]]:
        """Return the lines that count, each with its number in the file."""
        lines = list(enumerate(text.rstrip().split("\n"), 1))
        if self.comment is not None:
            lines = [pair for pair in lines if not pair[1].lstrip().startswith(self.comment)]
        return [pair for pair in lines if pair[1].strip()] if self.skip_blank else lines

    def _sought(self) -> str:
        return f"the number at line {self.line}, column {self.column}"


class KeyValue(TextParser):
    """The number of a line ``key = value``.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    key : str
        All that stands before the separator, blanks and quotes around it left out.
    separator : str, optional
        Default is ``=``; a blank means any blanks.
    occurrence : int or {"first", "last", "all"}, optional
        Which line of that key, from 1, or from -1 for the last; "all" gives all numbers.
        By default there must be exactly one.
    comment : str or None, optional
        What begins a comment, on a line of its own or after the number; default is ``#``.
        Any other text after the number, as a unit, is set off by a blank.
    encoding, decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`.

    Raises
    ------
    ValueError
        The key is empty, or another setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import KeyValue
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "out.ini").write_text("# u = 1\\nu = 2.5 mm  # end\\nu max = 3\\n")
    ...     KeyValue("out.ini", "u")(workdir), KeyValue("out.ini", "u max")(workdir)
    ([2.5], [3.0])
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        key: str,
        separator: str = "=",
        *,
        occurrence: int | str | None = None,
        comment: str | None = "#",
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        if not isinstance(key, str) or not key.strip() or not separator or comment == "":
            raise ValueError(
                f"key is {key!r}, separator {separator!r}, comment {comment!r}; none can be empty "
                "(comment=None for no comments)"
            )
        check_occurrence(occurrence, None)
        self.key = key.strip()
        self.separator = separator
        self.occurrence = occurrence
        self.comment = comment
        middle = r"[ \t]+" if separator.isspace() else rf"[ \t]*{re.escape(separator.strip())}"
        self._pattern = re.compile(rf"""^[ \t]*(["']?){re.escape(self.key)}\1{middle}""", re.MULTILINE)

    def _read(self, workdir: str) -> list[float]:
        text = self._text(workdir)
        found, seen = select(self._pattern.finditer(text), self.occurrence, None)
        if not found:
            raise self._unmatched(text, [match.start() for match in seen], self._advice(text))
        return [self._value(text, match.end()) for match in found]

    def _value(self, text: str, start: int) -> float:
        blanks = _BLANKS.match(text, start)
        start = blanks.end() if blanks else start
        match = WORD.match(text, start)
        word = match[0] if match else ""
        if self.comment is not None:
            word = word.partition(self.comment)[0]
        return self._number(word, text, min(start, len(text) - 1))

    def _advice(self, text: str) -> str:
        separator = None if self.separator.isspace() else self.separator.strip()
        parts = [line.split(separator, 1) for line in text.split("\n")]
        keys = list(dict.fromkeys(part[0].strip(" \t\"'") for part in parts if len(part) == 2))
        if self.key in keys:
            return "Give occurrence= to say which one is meant"
        return f"Correct the key{hint(self.key, keys)}; the keys are {some(keys)}"

    def _sought(self) -> str:
        return f"a line '{self.key} {self.separator} number' ({describe(self.occurrence, None)})"
