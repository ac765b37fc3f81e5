"""Which number is meant: by its index, by its line, or by the text before it.

::

    12                        the index in the listing
    line 70                   the only number of that line
    line 70 number 2          the second one of it
    "*ELASTIC"                the first number after that text
    "*ELASTIC" number 2       the second number after it
    "C1" occurrence 3         where the text stands several times

Where there are several files, the file comes first: ``system/controlDict: line 3 number 2``.
"""

from __future__ import annotations

import re

from ..errors import OtwrapError
from ..parsers._words import hint, some
from .texts import Number, Text, Texts

__all__ = ["PlaceError", "find_number", "find_numbers", "place_of"]

_PLACE = re.compile(
    r"""\s*(?:(?P<file>[^"\s][^"]*?)\s*:\s+)?
    (?:\#?(?P<index>[0-9]+)
    |line\s+(?P<line>[0-9]+)(?:\s+number\s+(?P<rank>[0-9]+))?
    |"(?P<text>.*\S.*)"(?:\s+occurrence\s+(?P<occurrence>[0-9]+))?(?:\s+number\s+(?P<next>[0-9]+))?
    )\s*""",
    re.VERBOSE,
)
_ACCEPTED = (
    "an index of the listing (12), a line ('line 70', 'line 70 number 2') and the text before the number in "
    "double quotes ('\"*ELASTIC\" number 2', '\"C1\" occurrence 3'), after 'file: ' where there are several files"
)


class PlaceError(OtwrapError):
    """A text says of no number, or not of one only, where it stands.

    Examples
    --------
    >>> from otwrap.drafts.texts import Text, Texts
    >>> find_number(Texts([Text("a", b"1 2")]), "line 1")
    Traceback (most recent call last):
    ...
    otwrap.drafts.places.PlaceError: 'line 1' has 2 numbers (1, 2): say which, as in 'line 1 number 2'
    """


def find_numbers(texts: Texts, place: str) -> list[Number]:
    """Return the numbers that a text may mean.

    Parameters
    ----------
    texts : Texts
        The files.
    place : str
        Index, line or text, see :mod:`otwrap.drafts.places`.

    Returns
    -------
    numbers : list of Number
        All of a line, where only the line is given; else one.

    Raises
    ------
    PlaceError
        If there is none, or the text stands several times.

    Examples
    --------
    >>> texts = Texts([Text("beam.inp", b"*ELASTIC\\n210000, .3\\n")])
    >>> [number.text for number in find_numbers(texts, "line 2")]
    ['210000', '.3']
    >>> [number.text for number in find_numbers(texts, '"*ELASTIC" number 2')]
    ['.3']
    """
    found = _PLACE.fullmatch(place)
    if not found:
        raise PlaceError(f"{place!r} says of no number where it stands; accepted are {_ACCEPTED}")
    files = _files(texts, place, found["file"])
    if found["index"]:
        number = (Texts(files) if found["file"] else texts).number(int(found["index"]))
        if number is None:
            count = len(Texts(files))
            raise PlaceError(f"{place!r}: there is no such number; the indices are 1 to {count}")
        return [number]
    if found["line"]:
        return _of_line(files, place, int(found["line"]), found["rank"])
    return [_after_text(files, place, found["text"], found["occurrence"], int(found["next"] or 1))]


def find_number(texts: Texts, place: str) -> Number:
    """Return the one number that a text means.

    Parameters
    ----------
    texts : Texts
        The files.
    place : str
        Index, line or text, see :mod:`otwrap.drafts.places`.

    Returns
    -------
    number : Number

    Raises
    ------
    PlaceError
        If it means none, or several.
    """
    numbers = find_numbers(texts, place)
    if len(numbers) > 1:
        shown = ", ".join(number.text for number in numbers[:8]) + ", ..." * (len(numbers) > 8)
        raise PlaceError(
            f"{place!r} has {len(numbers)} numbers ({shown}): say which, as in '{place.strip()} number 2'"
        )
    return numbers[0]


def place_of(texts: Texts, number: Number) -> str:
    """Return how a number is called in an answers file.

    Parameters
    ----------
    texts : Texts
        The files.
    number : Number
        One of their numbers.

    Returns
    -------
    place : str
        By line and rank; with the file where there are several.
    """
    file = f"{number.file}: " if len(texts.by_name) > 1 else ""
    text = texts.by_name[number.file]
    rank = f" number {number.rank}" if len(text.span(number.line)) > 1 else ""
    return f"{file}line {number.line}{rank}"


def _files(texts: Texts, place: str, name: str | None) -> list[Text]:
    """Return the files to look in."""
    if name is None:
        return list(texts)
    if name not in texts.by_name:
        names = list(texts.by_name)
        raise PlaceError(f"{place!r}: there is no file {name!r}{hint(name, names)}; there are {some(names)}")
    return [texts.by_name[name]]


def _of_line(files: list[Text], place: str, line: int, rank: str | None) -> list[Number]:
    if len(files) > 1:
        names = some(text.name for text in files)
        raise PlaceError(f"{place!r}: of which file? Write '{files[0].name}: {place}'; there are {names}")
    (text,) = files
    if not 1 <= line <= text.n_lines:
        raise PlaceError(f"{place!r}: {text.name} has the lines 1 to {text.n_lines}")
    numbers = [text.number(i) for i in text.span(line)]
    if not numbers:
        raise PlaceError(f"{place!r}: there is no number in {text.line(line).strip()[:60]!r}")
    if rank is None:
        return numbers
    if not 1 <= int(rank) <= len(numbers):
        shown = ", ".join(number.text for number in numbers[:8]) + ", ..." * (len(numbers) > 8)
        raise PlaceError(f"{place!r}: that line has {len(numbers)} number(s): {shown}")
    return [numbers[int(rank) - 1]]


def _after_text(files: list[Text], place: str, sought: str, occurrence: str | None, rank: int) -> Number:
    ends = [(text, match.end()) for text in files for match in re.finditer(re.escape(sought), text.content)]
    if not ends:
        names = some(text.name for text in files)
        raise PlaceError(f"{place!r}: there is no {sought!r} in {names}; capitals and blanks count")
    if len(ends) > 1 and occurrence is None:
        lines = [f"{text.name}, line {text.line_at(end - 1)}" for text, end in ends]
        raise PlaceError(
            f"{place!r}: that text stands {len(ends)} times ({some(lines, 5)}); "
            "give a longer one, or add 'occurrence 2'"
        )
    if not 1 <= int(occurrence or 1) <= len(ends):
        raise PlaceError(f"{place!r}: that text stands {len(ends)} time(s)")
    text, end = ends[int(occurrence or 1) - 1]
    i = text.after(end) + rank - 1
    if rank < 1 or i >= len(text):
        raise PlaceError(f"{place!r}: {len(text) - text.after(end)} number(s) follow that text; from 1")
    return text.number(i)
