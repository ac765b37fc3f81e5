"""Numbers of tasks as batch systems write them: ``1,3-5``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["compressed", "expanded", "pieces"]

_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


def compressed(numbers: Iterable[int]) -> list[str]:
    """Return numbers as ranges, in order.

    Parameters
    ----------
    numbers : iterable of int
        In any order.

    Returns
    -------
    ranges : list of str

    Examples
    --------
    >>> compressed([5, 1, 3, 4])
    ['1', '3-5']
    """
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def expanded(text: str) -> list[int]:
    """Return the numbers that a text of ranges names.

    Parameters
    ----------
    text : str
        Such as ``"1,3-5"``, in brackets or not, with a step ``"1-9:2"`` or a limit ``"1-9%4"``.

    Returns
    -------
    numbers : list of int

    Raises
    ------
    ValueError
        If it is no such text; one that was cut (``"1,3,..."``) is none.

    Examples
    --------
    >>> expanded("[1,3-9:3%2]")
    [1, 3, 6, 9]
    """
    numbers: list[int] = []
    for part in text.strip().strip("[]").partition("%")[0].split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            msg = f"{text!r} are no numbers of tasks: {part!r} is neither a number nor a range"
            raise ValueError(msg)
        first, last, step = match.groups()
        numbers += range(int(first), int(last or first) + 1, int(step or 1))
    return numbers


def pieces(ranges: list[str], longest: int = 2000) -> Iterator[str]:
    """Yield ranges joined by commas, in texts that no command line is too short for.

    Parameters
    ----------
    ranges : list of str
        See :func:`compressed`.
    longest : int, optional
        Characters of a text.

    Yields
    ------
    text : str

    Examples
    --------
    >>> list(pieces(["1", "3-5", "7"], longest=6))
    ['1,3-5', '7']
    """
    text = ""
    for part in ranges:
        if text and len(text) + len(part) + 1 > longest:
            yield text
            text = ""
        text = f"{text},{part}" if text else part
    if text:
        yield text
