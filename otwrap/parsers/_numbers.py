"""What a number looks like in the output of a simulation code."""

from __future__ import annotations

import re

from ._words import excerpt

__all__ = ["NUMBER", "WORD", "to_float"]

# What ends a word; a comma, colon or apostrophe before a digit belongs to it ("1,234", "12:30", "1'234"),
# and so does a narrow space inside 1 234: such a word is refused as a whole, never cut to "1".
_ENDS = r"""\s,;:'"|()\[\]{}<>="""
_WORD = (
    rf"(?:[^{_ENDS}]|[,:'](?=[0-9])"
    r"|(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}))+"
)

#: A word that stands where a number is expected.
WORD = re.compile(_WORD)

#: A regular expression for whatever looks like a number in a text, to put into a pattern of
#: :class:`~otwrap.parsers.Regex`: takes ``1.5D+03``, ``1,234`` or ``*****`` whole, so that
#: :func:`to_float` can judge them.
NUMBER = rf"(?<![^{_ENDS}])(?=[+-]?(?:[.,]?[0-9]|(?i:nan|inf(?:inity)?)\b)|\*\*){_WORD}"

_PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
# Fortran drops the letter when the exponent has three digits; such a number always has a point.
_FORTRAN = rf"({_PLAIN})[dDqQ]([+-]?[0-9]+)|([+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+))([+-][0-9]{{3}})"
_NAN = r"[+-]?(?:nan(?:[qs]|\(\w*\))?|1\.#(?:ind|[qs]nan)[0-9]*)"
_INF = r"([+-]?)1\.#inf[0-9]*"

_REASONS = (
    (r"", "nothing stands there"),
    (r".*\*\*.*", "a Fortran code prints stars when a number is wider than its field: widen its format"),
    (r"[+-]?[0-9.]*,[0-9.,]*", "a comma is refused: thousands separator or decimal comma?"),
    (r"[+-]?[0-9]+(?:['\s][0-9]{3})+[.,0-9]*", "a thousands separator is refused"),
    (r"[0-9_.eE+-]*_[0-9_.eE+-]*", "an underscore is refused"),
    (r"[+-]?0[xX].*", "hexadecimal is refused"),
    (r"[+-]?[0-9.]+(?:[+-][0-9.]*)+", "two numbers grown together, or an exponent without its letter?"),
    (r"[+-]?\.?[0-9].*", "only its beginning is a number"),
)


def to_float(text: str, decimal: str = ".") -> float:
    """Read a number as simulation codes write it.

    Parameters
    ----------
    text : str
        The number; blanks around it are allowed. Besides what C and Python write: Fortran exponents
        (``1.5D+03``, ``1.5d3``, ``1.5+103``), ``nan``, ``inf`` and ``infinity`` in any case, and the
        ``1.#QNAN``, ``1.#INF`` of old C libraries.
    decimal : {".", ","}, optional
        The decimal sign; the other one is refused. Default is the point.

    Returns
    -------
    number : float
        `nan` and infinities are read here; it is the parser that refuses them.

    Raises
    ------
    ValueError
        The text is no number as a whole: ``1,234``, ``1_000``, ``0x1F``, ``12abc``, ``*****``.

    Examples
    --------
    >>> from otwrap.parsers import to_float
    >>> to_float("1.5D+03"), to_float("-1.5-103"), to_float("1,5", decimal=",")
    (1500.0, -1.5e-103, 1.5)
    >>> to_float("1,234")
    Traceback (most recent call last):
        ...
    ValueError: '1,234' is not a number: a comma is refused: thousands separator or decimal comma?
    """
    word = text.strip()
    if decimal != ".":
        if "." in word and "#" not in word:
            raise ValueError(f"{word!r} is not a number: it has a point, and the decimal sign is {decimal!r}")
        word = word.replace(decimal, ".", 1)
    # Python's float takes underscores and the digits of every script.
    if word.isascii() and "_" not in word:
        try:
            return float(word)
        except ValueError:
            pass
        if match := re.fullmatch(_FORTRAN, word, re.ASCII):
            return float(f"{match[1] or match[3]}e{match[2] or match[4]}")
        if re.fullmatch(_NAN, word.lower(), re.ASCII):
            return float("nan")
        if match := re.fullmatch(_INF, word.lower(), re.ASCII):
            return float(f"{match[1]}inf")
    raise ValueError(f"{excerpt(text.strip())} is not a number{_reason(text.strip())}")


def _reason(word: str) -> str:
    """Say why a word is no number, where that is known."""
    for pattern, reason in _REASONS:
        if re.fullmatch(pattern, word[:200], re.DOTALL):
            return f": {reason}"
    return ""
