"""The numbers that users type: a small grammar, read by hand and never evaluated.

::

    values = item, item ...      separated by commas or blanks
    item   = number              2, -1.5, 1e-3, 1.5D+03
           | start:end           in steps of 1, both ends included
           | start:step:end      as 0:0.1:0.5
           | linspace(a, b, n)   n values from a to b, evenly spaced
           | logspace(a, b, n)   n values from 10^a to 10^b, their logarithms evenly spaced
           | [values]            without brackets in brackets
"""

from __future__ import annotations

import difflib
import math
import re
from decimal import Decimal, localcontext

from ..errors import OtwrapError
from ..parsers import to_float

__all__ = ["ACCEPTED", "GrammarError", "read_call", "read_number", "read_values"]

#: The grammar in words.
ACCEPTED = (
    "numbers (2, 1e-3, 1.5D+03), ranges (0:0.1:0.5, ends included), linspace(a, b, n), logspace(a, b, n) "
    "from 10^a to 10^b, and lists of these ([1, 2, 5])"
)

_MOST = 1_000_000
_SPACES = ("linspace", "logspace")
_BLANKS = re.compile(r"\s*")
# A number ends where something else may begin: "1-2" is not two numbers, and "1k" none.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?(?=[\s,:()\[\]]|$)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORD = re.compile(r"[^\s,:()\[\]]+|.", re.DOTALL)


class GrammarError(OtwrapError):
    """A typed text is none of the numbers that are accepted.

    Examples
    --------
    >>> from otwrap.drafts import read_values
    >>> read_values("[1, 2")
    Traceback (most recent call last):
    ...
    otwrap.drafts.grammar.GrammarError: '[1, 2' ends where ']' is expected
    """


def read_values(text: str) -> list[float]:
    """Read the values that a text stands for.

    Parameters
    ----------
    text : str
        Numbers, ranges, ``linspace(a, b, n)``, ``logspace(a, b, n)`` and lists of them. As in NumPy, the
        ends of ``logspace`` are exponents of 10.

    Returns
    -------
    values : list of float
        One or more, all finite.

    Raises
    ------
    GrammarError
        If it is something else, with the position where it begins to be.

    Examples
    --------
    >>> read_values("0:0.1:0.3")
    [0.0, 0.1, 0.2, 0.3]
    >>> read_values("[1, linspace(2, 3, 3), logspace(1, 2, 2)]")
    [1.0, 2.0, 2.5, 3.0, 10.0, 100.0]
    """
    reader = _Reader(text)
    values = reader.items(ends="")
    if not values:
        raise reader.wrong("a number")
    return values


def read_number(text: str) -> float:
    """Read one number.

    Parameters
    ----------
    text : str
        As ``1.5``, ``1e3`` or ``1.5D+03``.

    Returns
    -------
    number : float
        Finite.

    Raises
    ------
    GrammarError
        If it is none, or more than one.

    Examples
    --------
    >>> read_number("1.5D+03")
    1500.0
    """
    reader = _Reader(text)
    number = reader.number("a number")
    if reader.word():
        raise reader.wrong("the end of the one number")
    return number


def read_call(text: str) -> tuple[str, list[float]]:
    """Read a name and the values after it, with or without parentheses.

    Parameters
    ----------
    text : str
        As ``uniform 0.9 1.1``, ``uniform(0.9, 1.1)`` or ``values [1, 2, 3]``.

    Returns
    -------
    name : str
        In small letters.
    values : list of float
        Those of :func:`read_values`; none after a name alone.

    Raises
    ------
    GrammarError
        If there is no name, or what follows are no values.

    Examples
    --------
    >>> read_call("uniform 0.9 1.1")
    ('uniform', [0.9, 1.1])
    """
    reader = _Reader(text)
    name = reader.match(_NAME)
    if not name:
        raise reader.wrong("a name")
    if not reader.take("("):
        return name.lower(), reader.items(ends="")
    values = reader.items(ends=")")
    if reader.word():
        raise reader.wrong("the end")
    return name.lower(), values


class _Reader:
    """A text, and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def word(self) -> str:
        """Return what comes next, empty at the end."""
        blanks = _BLANKS.match(self.text, self.at)
        self.at = blanks.end() if blanks else self.at
        word = _WORD.match(self.text, self.at)
        return word[0] if word else ""

    def match(self, pattern: re.Pattern[str]) -> str:
        """Read what a pattern finds next, if it does."""
        self.word()
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found[0] if found else ""

    def take(self, mark: str) -> bool:
        """Read a mark, if it comes next."""
        if not mark or self.word() != mark:
            return False
        self.at += len(mark)
        return True

    def expect(self, mark: str) -> None:
        """Read a mark that must come next."""
        if not self.take(mark):
            raise self.wrong(repr(mark))

    def wrong(self, expected: str) -> GrammarError:
        """Return the error for what comes next."""
        word = self.word()
        if not word:
            # An empty text is not worth a position.
            end = f"{self.text!r} ends" if self.text.strip() else "nothing is given"
            return GrammarError(f"{end} where {expected} is expected")
        if len(word) > 40:
            word = word[:37] + "..."
        where = f"{word!r} stands at character {self.at + 1} of {self.text!r}, where {expected} is expected"
        close = difflib.get_close_matches(word.lower(), _SPACES, 1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; accepted are {ACCEPTED}"
        return GrammarError(where + hint)

    def items(self, ends: str) -> list[float]:
        """Read items up to a mark, or to the end of the text."""
        values: list[float] = []
        comma = False
        while not self.take(ends):
            if not self.word():
                if ends or comma:
                    raise self.wrong(repr(ends) if ends else "a number")
                return values
            values += self.item(inside=ends == "]")
            if len(values) > _MOST:
                raise GrammarError(f"{self.text!r} is more than {_MOST} values; give fewer")
            comma = self.take(",")
            if comma and self.word() == ends:
                raise self.wrong("a number")
        return values

    def item(self, inside: bool) -> list[float]:
        """Read a number, a range, a call or a list."""
        if not inside and self.take("["):
            values = self.items(ends="]")
            if not values:
                raise GrammarError(f"{self.text!r} has an empty list; give at least one number")
            return values
        if self.word() in _SPACES:
            return self.space(self.match(_NAME))
        first = self.number("a number" if inside else "a number or a list")
        return self.range(first) if self.take(":") else [float(first)]

    def number(self, expected: str) -> float:
        """Read one finite number."""
        self.word()
        start, found = self.at, self.match(_NUMBER)
        if not found:
            raise self.wrong(expected)
        number = to_float(found)
        if not math.isfinite(number):
            self.at = start
            raise self.wrong("a number that a double can hold")
        return number

    def range(self, start: float) -> list[float]:
        """Read the rest of ``start:end`` or ``start:step:end``."""
        second = self.number("a number")
        step, end = (second, self.number("a number")) if self.take(":") else (1.0, second)
        if step == 0.0 or (end - start) / step < 0.0:
            shown = f"from {start:g} in steps of {step:g} to {end:g}"
            raise GrammarError(f"{self.text!r}: there is no value {shown}; a range is start:step:end")
        with localcontext() as context:
            # In decimals, 0:0.1:0.3 holds 0.3 itself and not its neighbour.
            context.prec = 50
            first, width, last = (Decimal(repr(number)) for number in (start, step, end))
            count = self.size((last - first) / width + 1)
            return [float(first + i * width) for i in range(count)]

    def space(self, name: str) -> list[float]:
        """Read the arguments of ``linspace`` or ``logspace``."""
        import numpy as np

        self.expect("(")
        first = self.number("a number")
        self.expect(",")
        last = self.number("a number")
        self.expect(",")
        wanted = self.number("a number of values")
        if not wanted.is_integer() or wanted < 1:
            raise GrammarError(f"{self.text!r}: {name} is asked for {wanted:g} values; give 1, 2, ...")
        size = self.size(Decimal(wanted))
        self.expect(")")
        if name == "linspace":
            return [float(value) for value in np.linspace(first, last, size)]
        if max(abs(first), abs(last)) > 307:
            raise GrammarError(
                f"{self.text!r}: 10^{first:g} to 10^{last:g} is too far; the ends of logspace are exponents "
                "of 10: logspace(-3, 3, 7) goes from 0.001 to 1000"
            )
        return [float(value) for value in np.logspace(first, last, size)]

    def size(self, wanted: Decimal) -> int:
        """Return how many values there are, if not too many."""
        if wanted > _MOST:
            raise GrammarError(f"{self.text!r} is more than {_MOST} values; give fewer")
        return int(wanted)
