"""The parser of the standard output."""

from __future__ import annotations

import os
import re

from ._numbers import NUMBER
from ._select import describe
from .base import Range
from .files import TextParser
from .text import Regex, Value

__all__ = ["Stdout"]


class Stdout(TextParser):
    """The number that the code prints.

    With `token` it is read as :class:`Value` does, with `pattern` as :class:`Regex` does. With
    neither, every word that looks like a number counts, and by default there must be exactly one.

    Parameters
    ----------
    token : str, optional
        The text before the number.
    pattern : str or re.Pattern, optional
        A regular expression, in place of `token`.
    occurrence : int or {"first", "last", "all"}, optional
        Which match, from 1, or from -1 for the last; "all" gives all numbers.
        By default there must be exactly one.
    group : int or str, optional
        The group of `pattern` that is the number.
    count : int, optional
        How many matches there must be; default is not checked.
    file : str, optional
        Where the stream is written; default is ``stdout.txt``.
    encoding, decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`.

    Raises
    ------
    ValueError
        Both `token` and `pattern` are given, or a setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import Stdout
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "stdout.txt").write_text("Solving...\\nu = 2.5\\n")
    ...     Stdout()(workdir), Stdout("u =")(workdir), Stdout(pattern=r"^u = (.*)$")(workdir)
    ([2.5], [2.5], [2.5])
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        pattern: str | re.Pattern[str] | None = None,
        occurrence: int | str | None = None,
        group: int | str = 1,
        count: int | None = None,
        file: str | os.PathLike[str] = "stdout.txt",
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        if token is not None and pattern is not None:
            raise ValueError(f"token is {token!r} and pattern {pattern!r}; give one of them or neither")
        self.token = token
        self.pattern = pattern
        self.occurrence = occurrence
        self.group = group
        self.count = count
        self._parser = self._stand_in()

    def _stand_in(self) -> Value | Regex:
        """Return the parser that does the work."""
        file, occurrence, count = self.files[0], self.occurrence, self.count
        parser: Value | Regex
        if self.token is not None:
            parser = Value(file, self.token, occurrence, count=count)
        elif self.pattern is not None:
            parser = Regex(file, self.pattern, occurrence, group=self.group, count=count)
        else:
            parser = _AnyNumber(file, NUMBER, occurrence, count=count)
        parser.encoding, parser.decimal = self.encoding, self.decimal
        parser.valid, parser.allow_nan = self.valid, self.allow_nan
        return parser

    def _read(self, workdir: str) -> list[float]:
        return self._parser._read(workdir)

    def _sought(self) -> str:
        return self._parser._sought()


class _AnyNumber(Regex):
    """Whatever looks like a number."""

    def _matched(self, text: str, match: re.Match[str]) -> float:
        return self._number(match[0].removesuffix("."), text, match.start())

    def _sought(self) -> str:
        return f"a number ({describe(self.occurrence, self.count)}; token= or pattern= would be more exact)"
