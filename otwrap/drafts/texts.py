"""The numbers in the files of a case: whole ones only, never a part of a name, a date or a unit."""

from __future__ import annotations

import codecs
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..parsers import to_float

__all__ = ["Number", "Text", "Texts", "read_text"]

# A number is a whole word between these. What is not among them (letters, +, -, /, :, ^, $, the narrow
# spaces of 1 234) joins: "50M", "01/01/2020", "00:05:00", "1.2.3", "x-5" and "10^3" are no numbers.
_WORD = re.compile(r"""[^ \t\r\n\f\v,;=()\[\]{}<>"|*!\ufeff]+""")
_NUMBER = re.compile(
    r"""(?:'|:|[A-Za-z_]\w*:)?([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdDqQ][+-]?[0-9]+)?)'?[%:/]?""", re.ASCII
)
_MARKS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Number(NamedTuple):
    """A number, and where it stands.

    Attributes
    ----------
    file : str
        The file, relative to the case.
    line, column : int
        As an editor counts them, from 1.
    rank : int
        Which number of its line it is, from 1.
    start, end : int
        Its characters in the text of the file.
    text : str
        As it is written.
    """

    file: str
    line: int
    column: int
    rank: int
    start: int
    end: int
    text: str

    @property
    def value(self) -> float:
        """What it is as a double. float."""
        return to_float(self.text)

    @property
    def is_whole(self) -> bool:
        """Whether it is written without point and exponent. bool."""
        return self.text.lstrip("+-").isdigit()


class Text:
    """A file and the numbers in it.

    Parameters
    ----------
    name : str
        The file, relative to the case, with slashes.
    data : bytes
        Its content.
    mode : int, optional
        Its permissions.

    Attributes
    ----------
    content : str
        As characters, line ends untouched; empty for a binary file.
    encoding : str
        Of the text: ``"utf-8"``, ``"latin-1"`` where the bytes are no UTF-8, ``"utf-16"`` where a mark says
        so; empty for a binary file.

    Examples
    --------
    >>> text = Text("beam.inp", b"*ELASTIC ** J1 50M\\n210000, .3\\n")
    >>> [(number.line, number.rank, number.text) for number in text]
    [(2, 1, '210000'), (2, 2, '.3')]
    """

    def __init__(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self.name = name
        self.data = data
        self.mode = mode
        self.codec = _codec(data)
        self.encoding = "utf-16" if self.codec.startswith("utf-16") else self.codec
        self.content = data.decode(self.codec) if self.codec else ""
        self._lines = array("Q", [0, *(match.end() for match in re.finditer("\n", self.content))])
        # A mesh has millions of them: two whole numbers each.
        self._starts, self._ends = array("Q"), array("Q")
        for word in _WORD.finditer(self.content):
            if number := _NUMBER.fullmatch(word[0]):
                self._starts.append(word.start() + number.start(1))
                self._ends.append(word.start() + number.end(1))

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Number]:
        return map(self.number, range(len(self)))

    @property
    def n_lines(self) -> int:
        """How many lines there are. int."""
        return len(self._lines) - self.content.endswith("\n")

    def number(self, i: int) -> Number:
        """Return one of the numbers.

        Parameters
        ----------
        i : int
            Which one, from 0.

        Returns
        -------
        number : Number
        """
        start, end = self._starts[i], self._ends[i]
        line = self.line_at(start)
        first = self._lines[line - 1]
        rank = i - bisect_left(self._starts, first) + 1
        return Number(self.name, line, start - first + 1, rank, start, end, self.content[start:end])

    def line_at(self, position: int) -> int:
        """Return the line of a character.

        Parameters
        ----------
        position : int
            In the text, from 0.

        Returns
        -------
        line : int
            From 1.
        """
        return bisect_right(self._lines, position)

    def line(self, line: int) -> str:
        """Return a line without its end.

        Parameters
        ----------
        line : int
            From 1.

        Returns
        -------
        content : str
        """
        end = self._lines[line] if line < len(self._lines) else None
        return self.content[self._lines[line - 1] : end].rstrip("\r\n")

    def span(self, line: int) -> range:
        """Return which numbers stand on a line.

        Parameters
        ----------
        line : int
            From 1.

        Returns
        -------
        numbers : range
            For :meth:`number`.
        """
        last = self._lines[line] if line < len(self._lines) else len(self.content) + 1
        return range(bisect_left(self._starts, self._lines[line - 1]), bisect_left(self._starts, last))

    def around(self, line: int) -> tuple[str, ...]:
        """Return what of a line is no number, without the blanks around.

        Parameters
        ----------
        line : int
            From 1.

        Returns
        -------
        parts : tuple of str
            One more than there are numbers.
        """
        numbers = self.span(line)
        end = self._lines[line] if line < len(self._lines) else len(self.content)
        starts = [*self._starts[numbers.start : numbers.stop], end]
        ends = [self._lines[line - 1], *self._ends[numbers.start : numbers.stop]]
        return tuple(self.content[a:b].strip() for a, b in zip(ends, starts, strict=True))

    def after(self, position: int) -> int:
        """Return the first number that begins at a character or behind it.

        Parameters
        ----------
        position : int
            In the text, from 0.

        Returns
        -------
        i : int
            For :meth:`number`; the number of numbers if there is none.
        """
        return bisect_left(self._starts, position)


class Texts:
    """The files of a case, their numbers counted through.

    Parameters
    ----------
    texts : iterable of Text
        In the order of the user.

    Examples
    --------
    >>> texts = Texts([Text("a", b"1 2"), Text("b", b"3")])
    >>> texts.number(3).file, texts.index(texts.number(3))
    ('b', 3)
    """

    def __init__(self, texts: Iterable[Text]) -> None:
        self.by_name = {text.name: text for text in texts}

    def __iter__(self) -> Iterator[Text]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return sum(map(len, self))

    def first(self, name: str) -> int:
        """Return the index of the first number of a file.

        Parameters
        ----------
        name : str
            The file.

        Returns
        -------
        index : int
            From 1.
        """
        index = 1
        for text in self:
            if text.name == name:
                break
            index += len(text)
        return index

    def index(self, number: Number) -> int:
        """Return the index of a number.

        Parameters
        ----------
        number : Number
            One of these.

        Returns
        -------
        index : int
            From 1.
        """
        return self.first(number.file) + self.by_name[number.file].after(number.start)

    def number(self, index: int) -> Number | None:
        """Return the number of an index.

        Parameters
        ----------
        index : int
            From 1.

        Returns
        -------
        number : Number or None
        """
        i = index - 1
        for text in self:
            if 0 <= i < len(text):
                return text.number(i)
            i -= len(text)
        return None


def read_text(folder: Path, name: str) -> Text:
    """Read a file of a case.

    Parameters
    ----------
    folder : Path
        The case.
    name : str
        The file in it.

    Returns
    -------
    text : Text

    Raises
    ------
    OSError
        If it cannot be read.
    """
    path = folder / name
    return Text(name, path.read_bytes(), path.stat().st_mode & 0o777)


def _codec(data: bytes) -> str:
    """Return the codec of a text, empty for what is none."""
    marked = next((codec for mark, codec in _MARKS if data.startswith(mark)), "")
    for codec in (marked,) if marked else ("utf-8", "latin-1"):
        try:
            content = data.decode(codec)
        except UnicodeDecodeError:
            continue
        return "" if "\0" in content or content.encode(codec) != data else codec
    return ""
