"""Parsers of free text: after a token, by a pattern."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ._numbers import WORD
from ._select import check_occurrence, describe, select
from ._words import excerpt, some
from .base import Range
from .files import TextParser

__all__ = ["Regex", "Value"]

# A unit in brackets, as in "y [mm] = 1", then what may stand between a token and its number:
# blanks, line ends, = and the like, leaders "......" or "-----", an arrow.
_UNIT = re.compile(r"[ \t]*(?:\[[^\[\]\n\d.+-][^\[\]\n]*\]|\([^()\n\d.+-][^()\n]*\))(?=\s*[=:])")
_GAP = re.compile(r"""(?:[\s:=|>~"'(\[{]|\.{2,}|[-_]{3,}|-+>)*""")

# What tells that a pattern cut a number: an exponent goes on, digits go on, digits or a sign came before.
_EXPONENT = re.compile(r"[eEdDqQ][+-]?[0-9]")
_AFTER = re.compile(r"[0-9]|[.,'][0-9]|\.[eEdDqQ][+-]?[0-9]|[+-][0-9]{3}(?![0-9])|[eEdDqQ][+-]?[0-9]")
_BEFORE = re.compile(r"(?:(?<=[0-9.])|(?<=[0-9],)|(?<=[\s=:(,;][+-])|(?<=^[+-]))[0-9.]")


class Value(TextParser):
    """The number that follows a literal text.

    The number must come next: only blanks, ``=``, ``:``, quotes, an opening bracket, leaders
    (``.....``), an arrow or a unit in brackets before ``=`` or ``:`` may stand between. Where the
    line ends there, it is looked for at the start of the next line that is not blank. What follows
    the number after a blank (a unit, a remark) does not matter. A token that begins or ends with a
    letter or digit is not found inside a longer word: ``Y1`` is not in ``Y10``.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    token : str
        The text before the number, as it stands in the file.
    occurrence : int or {"first", "last", "all"} or None, optional
        Which one, from 1, or from -1 for the last. "all" gives all numbers; `None` demands that
        there is exactly one. Default is the first.
    count : int, optional
        How often the token must be there; default is not checked.
    encoding, decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`.

    Raises
    ------
    ValueError
        The token is empty, or another setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import Value
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "out.txt").write_text("step 1\\nstress [MPa] = 1.5D+03 at node 7\\n")
    ...     Value("out.txt", "stress")(workdir)
    [1500.0]
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        token: str,
        occurrence: int | str | None = 1,
        *,
        count: int | None = None,
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        if not isinstance(token, str) or not token.strip():
            raise ValueError(f"token is {token!r}; give the text that stands before the number")
        check_occurrence(occurrence, count)
        self.token = token
        self.occurrence = occurrence
        self.count = count

    def _read(self, workdir: str) -> list[float]:
        text = self._text(workdir)
        ends, seen = select(self._ends(text), self.occurrence, self.count)
        if not ends:
            raise self._unmatched(text, seen, self._advice(text))
        return [self._next_number(text, end) for end in ends]

    def _ends(self, text: str) -> Iterator[int]:
        """Yield where each token ends, those inside a longer word left out."""
        token, size = self.token, len(self.token)
        opens, closes = _in_word(token[0]), _in_word(token[-1])
        start = text.find(token)
        while start >= 0:
            end = start + size
            inside = opens and start > 0 and _in_word(text[start - 1])
            if not (inside or (closes and end < len(text) and _in_word(text[end]))):
                yield end
            start = text.find(token, end)

    def _next_number(self, text: str, start: int) -> float:
        unit = _UNIT.match(text, start)
        gap = _GAP.match(text, unit.end() if unit else start)
        start = gap.end() if gap else start
        word = WORD.match(text, start)
        return self._number(word[0].removesuffix(".") if word else "", text, min(start, len(text.rstrip())))

    def _advice(self, text: str) -> str:
        start = text.find(self.token)
        if start >= 0:
            return f"Line {_line(text, start)} has it, in a longer word or too often or rarely: be more exact"
        start = text.lower().find(self.token.lower())
        case = f"line {_line(text, start)} has it in other letters, " if start >= 0 else ""
        return f"Look at the code's log, or correct the token: {case}the file begins {excerpt(text.lstrip())}"

    def _sought(self) -> str:
        return f"the number after {self.token!r} ({describe(self.occurrence, self.count)})"


class Regex(TextParser):
    """The number that a regular expression finds.

    A pattern that cuts a number is an error: ``y = (\\d+)`` finds no ``1`` in ``y = 1,234``, and
    ``y = ([\\d.]+)`` no ``1.5`` in ``y = 1.5D+03``. Put :data:`~otwrap.parsers.NUMBER` in the pattern
    for whatever looks like a number.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    pattern : str or re.Pattern
        In a `str`, ``^`` and ``$`` are the start and end of a line.
    occurrence : int or {"first", "last", "all"}, optional
        Which match, from 1, or from -1 for the last; "all" gives all numbers.
        By default there must be exactly one.
    group : int or str, optional
        The group that is the number; default is the first, or the match where the pattern has none.
    count : int, optional
        How many matches there must be; default is not checked.
    encoding, decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`.

    Raises
    ------
    ValueError
        The pattern is no regular expression or lacks the group, or another setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import NUMBER, Regex
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "out.txt").write_text("node 1: u = 0.25 mm\\nnode 2: u = 0.5 mm\\n")
    ...     Regex("out.txt", rf"^node 2: u = ({NUMBER}) mm$")(workdir)
    ...     Regex("out.txt", r"u = (\\S+)", "all", count=2)(workdir)
    [0.5]
    [0.25, 0.5]
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        pattern: str | re.Pattern[str],
        occurrence: int | str | None = None,
        *,
        group: int | str = 1,
        count: int | None = None,
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        check_occurrence(occurrence, count)
        self.pattern = pattern if isinstance(pattern, re.Pattern) else _compiled(pattern)
        self.group = 0 if group == 1 and not self.pattern.groups else group
        known = self.group in self.pattern.groupindex or self.group in range(self.pattern.groups + 1)
        if not known:
            names = some([*range(self.pattern.groups + 1), *self.pattern.groupindex])
            raise ValueError(f"group is {group!r}; give one that {self.pattern.pattern!r} has: {names}")
        self.occurrence = occurrence
        self.count = count

    def _read(self, workdir: str) -> list[float]:
        text = self._text(workdir)
        found, seen = select(self.pattern.finditer(text), self.occurrence, self.count)
        if not found:
            advice = (
                f"Look at the code's log, or correct the pattern: the file begins {excerpt(text.lstrip())}"
            )
            raise self._unmatched(text, [match.start() for match in seen], advice)
        return [self._matched(text, match) for match in found]

    def _matched(self, text: str, match: re.Match[str]) -> float:
        start, end = match.span(self.group)
        if start < 0:
            start = end = match.start()
        cut = (
            _EXPONENT.match(text, end)
            if text[end - 1 : end].isdigit() or text[end - 1 : end] == "."
            else None
        )
        if end == match.end():
            cut = cut or (_AFTER.match(text, end) if text[end - 1 : end].isdigit() else None)
            cut = cut or (re.match("[0-9]", text[end : end + 1]) if text[end - 1 : end] == "." else None)
        if start == match.start():
            cut = cut or _BEFORE.match(text, start)
        if cut and end > start:
            raise self._error(
                f"{excerpt(text[start:end])} cut out of {excerpt(_around(text, start, end))}",
                "Make the pattern take the number whole (otwrap.parsers.NUMBER does), or go on behind it",
                "not a number",
                _line(text, start),
            )
        return self._number(text[start:end], text, start)

    def _sought(self) -> str:
        return f"the pattern {self.pattern.pattern!r} ({describe(self.occurrence, self.count)})"


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _line(text: str, start: int) -> int:
    return 1 + text.count("\n", 0, start)


def _around(text: str, start: int, end: int) -> str:
    """Return the unbroken text around a span."""
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return text[start:end]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.MULTILINE)
    except (re.error, TypeError) as error:
        raise ValueError(f"pattern is {pattern!r}, no regular expression: {error}") from None
