"""What the parsers of one file share: missing, empty, encoded, and where in it a number stands."""

from __future__ import annotations

import codecs
import os
from itertools import accumulate

from ..errors import OutputError
from ._numbers import to_float
from ._words import excerpt, hint, some
from .base import Parser, Range

__all__ = ["FileParser", "TextParser"]


class FileParser(Parser):
    """Base of the parsers of one file.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    valid, allow_nan
        As in :class:`Parser`.
    """

    def __init__(
        self, file: str | os.PathLike[str], *, valid: Range | None = None, allow_nan: bool = False
    ) -> None:
        super().__init__((file,), valid=valid, allow_nan=allow_nan)

    def _data(self, workdir: str) -> bytes:
        """Return the bytes of the file, which must be there and not be empty."""
        try:
            with open(os.path.join(workdir, self.files[0]), "rb") as stream:  # noqa: PTH118 - hot path
                data = stream.read()
        except OSError as error:
            raise self._unreadable(workdir, error) from error
        if not data:
            raise self._empty()
        return data

    def _path(self, workdir: str) -> str:
        """Return the path of the file, which must be there and not be empty."""
        path = os.path.join(workdir, self.files[0])  # noqa: PTH118 - hot path
        try:
            with open(path, "rb") as stream:
                empty = not stream.read(1)
        except OSError as error:
            raise self._unreadable(workdir, error) from error
        if empty:
            raise self._empty()
        return path

    def _empty(self) -> OutputError:
        return self._error("an empty file", "Look at the code's log for why it wrote nothing", "output empty")

    def _unreadable(self, workdir: str, error: OSError) -> OutputError:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return self._error(f"{type(error).__name__}: {error.strerror}", "Make it a file one can read")
        folder, name = os.path.split(os.path.join(workdir, self.files[0]))  # noqa: PTH118
        try:
            there = sorted(entry.name for entry in os.scandir(folder))
        except OSError:
            return self._error("no such folder", "Look at the code's log, or correct file=", "output missing")
        found = "no such file" + (f" among {some(there)}" if there else "; the folder is empty")
        advice = f"Look at the code's log, or correct file={hint(name, there)}"
        return self._error(found, advice, "output missing")


class TextParser(FileParser):
    """Base of the parsers of one text file.

    Parameters
    ----------
    file, valid, allow_nan
        As in :class:`FileParser`.
    encoding : str, optional
        Of the file. Bytes that it does not have are replaced, the rest is read. Default is UTF-8.
    decimal : {".", ","}, optional
        The decimal sign; default is the point.

    Raises
    ------
    ValueError
        The encoding is unknown, or the decimal sign is another.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, valid=valid, allow_nan=allow_nan)
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(
                f"encoding {encoding!r} is unknown; give one of Python's, as 'latin-1'"
            ) from None
        if decimal not in (".", ","):
            raise ValueError(f"decimal is {decimal!r}; give '.' or ','")
        self.encoding = encoding
        self.decimal = decimal

    def _text(self, workdir: str) -> str:
        """Return the text of the file, with newlines as line ends."""
        text = self._data(workdir).decode(self.encoding, "replace")
        if text.isspace():
            raise self._error(
                "blanks only", "Look at the code's log for why it wrote nothing", "output empty"
            )
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return text[1:] if text[0] == "\ufeff" else text

    def _number(self, word: str, text: str = "", start: int = 0, line: int = 0) -> float:
        """Read one number; on failure the line is counted from its start in the text."""
        try:
            number = to_float(word, self.decimal)
        except ValueError as error:
            found, line = _where(word, text, start, line)
            comma = "," in word and self.decimal == "."
            reason = str(error).partition(" is not a number")[2]
            found += f" (not a number{reason})"
            advice = "Correct the parser or the code's output"
            advice += "; decimal=',' reads a decimal comma" if comma else ""
            raise self._error(found, advice, "not a number", line) from None
        if not self._accepts(number):
            found, line = _where(word, text, start, line)
            raise self._refusal(number, found, line)
        return number

    def _unmatched(self, text: str, starts: list[int], advice: str) -> OutputError:
        """Return the error for a number of matches that is not the one asked for."""
        if not starts:
            return self._error("nothing", advice, "no match")
        shown = starts[:8]
        breaks = accumulate(text.count("\n", a, b) for a, b in zip([0, *shown], shown, strict=False))
        lines = ", ".join(str(1 + number) for number in breaks) + (", ..." if len(starts) > 8 else "")
        found = f"{len(starts)} match{'es' if len(starts) > 1 else ''} (line {lines})"
        advice = "Be more exact, or say which with occurrence= and how many with count="
        return self._error(found, advice, "no match")


def _where(word: str, text: str, start: int, line: int) -> tuple[str, int]:
    """Return what was found, with its line, and the line's number."""
    found = excerpt(word)
    if not text:
        return found, line
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    content = text[first : None if last < 0 else last].strip()
    line = 1 + text.count("\n", 0, start)
    return (found if content == word else f"{found} in {excerpt(content, 80)}"), line
