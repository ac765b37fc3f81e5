"""How a number is written in an input file: no digit is lost unless asked.

This room knows nothing of templates; it raises `ValueError`, and who calls it adds where it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite, isinf
from typing import TypeAlias

__all__ = ["ACCEPTED", "NumberFormat", "Spec"]

#: What a number format may be.
Spec: TypeAlias = str | Callable[[float], str] | None

#: The spellings of a number format, in words.
ACCEPTED = (
    "None (the shortest text that reads back as the same double), "
    "a Python format such as '.6e', '10.4f', '.3g' or 'd' (whole numbers only), "
    "'D', '.10D' or '24.16D' (Fortran exponent), "
    "'w20' (as many digits as fit in 20 characters; '>w20', '<w20' pad to 20; 'w20.10' keeps 10 at least), "
    "any of these after 'allow ' (nan and inf are written too), or a function from float to str; "
    "a width is a limit, a longer text is an error"
)

_PYTHON = re.compile(
    r"(?P<align>(?:.?[<>=^])?)(?P<sign>[-+ ]?)(?P<alternate>#?)(?P<zero>0?)"
    r"(?P<width>(?:[1-9]\d*)?)(?P<precision>(?:\.\d+)?)(?P<kind>[deEfFgGD]?)"
)
_FIT = re.compile(r"(?P<align>[<>]?)w(?P<width>[1-9]\d*)(?:\.(?P<digits>[1-9]\d*))?")
_ALLOW = re.compile(r"allow(?:\s+|$)")
_LEAST_DIGITS = 3

_Write: TypeAlias = Callable[[float], str]


class NumberFormat:
    """How one number becomes text.

    Parameters
    ----------
    spec : str, callable or None, optional
        * `None` or ``""``: the shortest text that reads back as the same double, ``3.0`` for 3.
        * A Python format specification of a number, ``".6e"``, ``"+.3g"``, ``"10.4f"``, ``"012.5E"``.
          A width is also a limit: a longer text is an error, for columns that must not move.
          Without a kind (``"24"``) the digits are the shortest that read back. Thousands separators
          and percentages are refused: few codes read them.
        * ``"d"``: a whole number, 3.0 becomes ``3``, and 3.5 is an error.
        * ``"D"``, ``".10D"``, ``"24.16D"``: Fortran's exponent, always with a decimal point. Without
          a precision the digits are the shortest that read back: ``1.5D+03``.
        * ``"w20"``: as many digits as fit in 20 characters, always with a decimal point (Fortran
          and Nastran read a text without one differently). It is not padded; ``">w20"`` and
          ``"<w20"`` pad with blanks to exactly 20, at the left or at the right. If digits must go
          and fewer than 3 would stay, that is an error; ``"w20.10"`` asks for 10.
        * ``"allow"`` alone, or before one of these (``"allow .6e"``): nan and inf are written as
          ``nan``, ``inf`` and ``-inf``. Otherwise they are an error, for many codes take them
          and answer with plausible numbers.
        * A function that takes a float and returns the text. Nan and inf do not reach it.

    Attributes
    ----------
    spec : str, callable or None
        As given.
    write : callable
        From a float to its text.

    Raises
    ------
    ValueError
        If the format is not one of these; and, from `write`, if a number cannot be written so.

    Examples
    --------
    >>> from otwrap.formats import NumberFormat
    >>> NumberFormat().write(0.1 + 0.2)
    '0.30000000000000004'
    >>> NumberFormat(".10D").write(1500.0)
    '1.5000000000D+03'
    >>> NumberFormat("w8").write(-1234.56789)
    '-1234.57'
    >>> NumberFormat("6.2f").write(12345.678)
    Traceback (most recent call last):
        ...
    ValueError: 12345.678 becomes '12345.68', 8 characters, and the format '6.2f' leaves 6
    """

    __slots__ = ("spec", "write")

    def __init__(self, spec: Spec = None) -> None:
        self.spec = spec
        self.write: _Write = _make(spec)

    def __reduce__(self) -> tuple[type[NumberFormat], tuple[Spec]]:
        return NumberFormat, (self.spec,)

    @property
    def name(self) -> str:
        """The format in words that are the same in every process; a function is told by its name."""
        if callable(self.spec):
            module = getattr(self.spec, "__module__", "")
            return f"function {module}.{getattr(self.spec, '__qualname__', type(self.spec).__qualname__)}"
        return self.spec or ""


def _make(spec: Spec) -> _Write:
    """Return the function that writes a number as `spec` says."""
    if spec is None or spec == "":
        return _shortest
    if callable(spec):
        return _finite(_checked(spec))
    if not isinstance(spec, str):
        raise ValueError(f"{spec!r} is no number format; accepted are {ACCEPTED}")
    allow = _ALLOW.match(spec)
    body = spec[allow.end() :] if allow else spec
    width, write = _of_text(body, spec)
    return _lenient(write, width) if allow else _finite(write)


def _of_text(body: str, spec: str) -> tuple[int, _Write]:
    """Return the width (0 for none) and the writer of a format without its ``allow``."""
    if fit := _FIT.fullmatch(body):
        width, digits = int(fit["width"]), int(fit["digits"] or _LEAST_DIGITS)
        return width, _fitting(fit["align"], width, digits, spec)
    parts = _PYTHON.fullmatch(body)
    if not parts or (parts["kind"] == "d" and parts["precision"]):
        raise ValueError(f"{spec!r} is no number format; accepted are {ACCEPTED}")
    width = int(parts["width"] or 0)
    if parts["kind"] == "D":
        write = _fortran(parts)
    elif parts["kind"] == "d":
        write = _whole(body, spec)
    else:
        write = _python(body)
    return width, _limited(write, width, spec) if width else write


def _shortest(x: float) -> str:
    """Write the shortest text that reads back as the same double."""
    if not isfinite(x):
        raise ValueError(_not_finite(x))
    # float(): the repr of a NumPy scalar is no number.
    return repr(float(x))


def _not_finite(x: float) -> str:
    return f"{x} is not written into an input file, unless its format says 'allow'"


def _finite(write: _Write) -> _Write:
    """Refuse nan and inf."""

    def finite(x: float) -> str:
        if not isfinite(x):
            raise ValueError(_not_finite(x))
        return write(float(x))

    return finite


def _lenient(write: _Write, width: int) -> _Write:
    """Write nan and inf by their names."""
    return lambda x: write(float(x)) if isfinite(x) else str(float(x)).rjust(width)


def _checked(function: _Write) -> _Write:
    """Refuse what a user's function returns if it is no text."""

    def checked(x: float) -> str:
        text = function(x)
        if not isinstance(text, str):
            raise ValueError(f"the format function returned {text!r} for {x!r}, where text (str) is needed")
        return text

    return checked


def _limited(write: _Write, width: int, spec: str) -> _Write:
    """Refuse a text that is longer than its column."""

    def limited(x: float) -> str:
        text = write(x)
        if len(text) > width:
            raise ValueError(
                f"{x!r} becomes {text!r}, {len(text)} characters, and the format {spec!r} leaves {width}"
            )
        return text

    return limited


def _python(body: str) -> _Write:
    return lambda x: format(x, body)


def _whole(body: str, spec: str) -> _Write:
    """Write whole numbers only."""

    def whole(x: float) -> str:
        if not x.is_integer():
            raise ValueError(f"{x!r} is not a whole number, which the format {spec!r} needs")
        return format(int(x), body)

    return whole


def _fortran(parts: re.Match[str]) -> _Write:
    """Write Fortran's exponent D; the point is always there, for without it Fortran shifts the number."""
    head = f"{parts['align']}{parts['sign']}#{parts['zero']}{parts['width']}"
    if parts["precision"]:
        body = f"{head}{parts['precision']}E"
        return lambda x: format(x, body).replace("E", "D")
    return lambda x: format(x, f"{head}.{max(_count(x) - 1, 1)}E").replace("E", "D")


def _count(x: float) -> int:
    """Return how many significant digits the shortest text of `x` has."""
    mantissa = repr(abs(x)).partition("e")[0]
    return len(mantissa.replace(".", "").strip("0")) or 1


def _fitting(align: str, width: int, least: int, spec: str) -> _Write:
    """Write as many digits as fit."""

    def fitting(x: float) -> str:
        text = repr(x)
        if len(text) > width or "e" in text:
            text = _fit(x, width, least)
        if not text:
            raise ValueError(
                f"{x!r} does not fit in {width} characters with {least} digits, as {spec!r} asks"
            )
        if align:
            return text.rjust(width) if align == ">" else text.ljust(width)
        return text

    return fitting


def _fit(x: float, width: int, least: int) -> str:
    """Return the most precise text of at most `width` characters, empty if too few digits would stay."""
    most = _count(x)
    for digits in range(most, min(least, most) - 1, -1):
        mantissa, _, exponent = f"{x:#.{digits - 1}e}".partition("e")
        decimals = max(digits - 1 - int(exponent), 0)
        for text in (f"{x:#.{decimals}f}", f"{mantissa}e{int(exponent)}"):
            # The largest doubles become inf when they are rounded up.
            if len(text) <= width and not isinf(float(text)):
                return text
    return ""
