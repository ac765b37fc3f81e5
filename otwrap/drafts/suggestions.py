"""Parsers for a number of an output file, each proven to read that very number."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

from .. import parsers
from ..errors import OutputError
from ..parsers import FileParser, Function, Parser, TextParser, to_float
from ..parsers._words import hint, some
from .names import AnswerError
from .texts import Number, Text

__all__ = ["PARSERS", "ParserSpec", "checked_spec", "suggestions"]

#: The parsers that can be named: those that are told by literals alone.
PARSERS = tuple(
    name
    for name in parsers.__all__
    if isinstance(kind := getattr(parsers, name), type)
    and issubclass(kind, Parser)
    and kind not in (Parser, FileParser, TextParser, Function)
)

_NUMBERLIKE = r"[-+.\deEdDqQ]+"
# A search through a file of ten thousand elements ends somewhere.
_MOST = 200
_SEPARATORS = (",", ";", "\t", " ")


class ParserSpec(NamedTuple):
    """A parser as its class and arguments.

    Attributes
    ----------
    name : str
        One of :data:`PARSERS`.
    settings : dict
        Its arguments by name.
    """

    name: str
    settings: dict[str, Any]

    def make(self) -> Parser:
        """Return the parser.

        Returns
        -------
        parser : Parser

        Raises
        ------
        TypeError, ValueError
            If it refuses an argument.

        Examples
        --------
        >>> ParserSpec("Value", {"file": "out.txt", "token": "y ="}).make().files
        ('out.txt',)
        """
        parser: Parser = getattr(parsers, self.name)(**self.settings)
        return parser

    def __str__(self) -> str:
        file, *rest = [
            f"{value!r}" if name == "file" else f"{name}={value!r}" for name, value in self._sorted()
        ]
        return f"{self.name}({', '.join([file, *rest])})"

    def _sorted(self) -> list[tuple[str, Any]]:
        """Return the arguments, the file first."""
        return sorted(self.settings.items(), key=lambda item: item[0] != "file")


def checked_spec(
    name: str, settings: Mapping[str, Any], folder: Path, size: int = 1
) -> tuple[ParserSpec, tuple[float, ...]]:
    """Return the parser that a user names, tried on the output of the nominal case.

    Parameters
    ----------
    name : str
        One of :data:`PARSERS`.
    settings : mapping
        Its arguments by name.
    folder : Path
        Where the output files are.
    size : int, optional
        How many numbers it has to give. Default is 1.

    Returns
    -------
    spec : ParserSpec
    values : tuple of float, shape (size,)
        What it gives.

    Raises
    ------
    AnswerError
        If there is no such parser or argument, or it does not give that many numbers.
    """
    if name not in PARSERS:
        raise AnswerError(
            f"there is no parser {name!r}{hint(name, PARSERS)}; accepted are {some(PARSERS, 30)}"
        )
    accepted = signature(getattr(parsers, name)).parameters
    for key in settings:
        if key not in accepted:
            raise AnswerError(
                f"{name} has no argument {key!r}{hint(key, accepted)}; it has {some(accepted, 30)}"
            )
    missing = [key for key, one in accepted.items() if one.default is one.empty and key not in settings]
    if missing:
        raise AnswerError(f"{name} needs {some(missing)} too")
    spec = ParserSpec(name, {key: _literal(value, key) for key, value in settings.items()})
    try:
        numbers = spec.make()(folder)
    except (TypeError, ValueError, OutputError) as error:
        raise AnswerError(f"{spec}: {error}") from None
    if len(numbers) != size:
        advice = (
            "a curve says over which values, as over = '0:0.1:1'" if size == 1 else "as many as over= has"
        )
        raise AnswerError(f"{spec} gives {len(numbers)} numbers and {size} is expected: {advice}")
    return spec, tuple(numbers)


def _literal(value: Any, key: str) -> Any:
    """Return an argument as parsers take it: a list of TOML is a tuple."""
    if isinstance(value, list):
        items = tuple(_literal(item, key) for item in value)
        # An open end of a range, which TOML has no word for.
        return (
            tuple(None if item in (float("inf"), -float("inf")) else item for item in items)
            if key == "valid"
            else items
        )
    if not isinstance(value, (str, int, float, bool)):
        raise AnswerError(f"{key} is {value!r}; accepted are texts, numbers, true, false and lists of these")
    return value


def suggestions(text: Text, number: Number) -> list[ParserSpec]:
    """Return the parsers that read a number of an output file, the most robust first.

    Each was tried on the file as it is, and on a copy in which this number, and no other, is a different one.

    Parameters
    ----------
    text : Text
        The output file.
    number : Number
        One of its numbers.

    Returns
    -------
    specs : list of ParserSpec
        Empty if none of the parsers reads it.

    Examples
    --------
    >>> text = Text("out.txt", b"steps = 7\\nstress [MPa] = 1.5D+03\\n")
    >>> [str(spec) for spec in suggestions(text, text.number(1))][0]
    "KeyValue('out.txt', key='stress [MPa]')"
    """
    changed = "8.25E-03" if number.value != 8.25e-3 else "7.75E-03"
    other = text.content[: number.start] + changed + text.content[number.end :]
    found: list[ParserSpec] = []
    with tempfile.TemporaryDirectory(prefix="otwrap-new-") as folder:
        places = [Path(folder, "as-it-is"), Path(folder, "changed")]
        for place, data in zip(places, (text.data, other.encode(text.codec)), strict=True):
            path = place / text.name
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        for spec in _candidates(text, number):
            settings = spec.settings
            if text.encoding != "utf-8":
                settings = {**settings, "encoding": text.encoding}
            spec = ParserSpec(spec.name, settings)
            if spec not in found and _reads(spec, places, [number.value, to_float(changed)]):
                found.append(spec)
    return sorted(found, key=_fragility)


def _reads(spec: ParserSpec, folders: list[Path], values: list[float]) -> bool:
    """Whether a parser gives these values in these folders."""
    try:
        parser = spec.make()
        return all(parser(folder) == [value] for folder, value in zip(folders, values, strict=True))
    except (TypeError, ValueError, OutputError):
        return False


def _fragility(spec: ParserSpec) -> int:
    """Return how easily a parser is led astray: a name that stands once is better than a line counted."""
    if spec.name in ("Xml", "Json"):
        return 0
    places = [spec.settings.get(name) for name in ("occurrence", "line", "row")]
    if "last" in places or -1 in places:
        return 1
    return 2 if any(place is not None for place in places) else 0


def _candidates(text: Text, number: Number) -> Iterator[ParserSpec]:
    """Yield what may read the number."""
    if text.content.lstrip("\ufeff \t\r\n").startswith("<"):
        yield from _of_xml(text, number)
    elif text.content.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        yield from _of_json(text, number)
    line = text.line(number.line)
    before = line[: number.column - 1]
    if label := re.fullmatch(r"""\s*(["']?)([^=:]*[A-Za-z][^=:]*?)\1\s*([=:])[\s"']*""", before):
        separator = {} if label[3] == "=" else {"separator": ":"}
        yield from _counted(
            "KeyValue", {"file": text.name, "key": label[2].strip(), **separator}, text, label[2]
        )
    yield from _of_table(text, number)
    start = text.number(text.span(number.line).start + number.rank - 2).end if number.rank > 1 else 0
    first = number.start - len(before)
    token = text.content[max(start, first) : number.start].strip(" \t:=|>~\"'([")
    if re.search("[A-Za-z]", token):
        yield from _counted("Value", {"file": text.name, "token": token}, text, token)
    yield from _of_row(text, number, line)
    yield from _of_columns(text, number, line)
    pattern = _pattern(text, number, line)
    if re.search("[A-Za-z]", before):
        yield from _counted("Regex", {"file": text.name, "pattern": pattern}, text, pattern, regular=True)


def _counted(
    name: str, settings: dict[str, Any], text: Text, sought: str, regular: bool = False
) -> Iterator[ParserSpec]:
    """Yield a parser that wants exactly one match, the last one, or a certain one."""
    # The others want exactly one match, unless they are told which.
    yield ParserSpec(name, {**settings, "count": 1} if name == "Value" else settings)
    yield ParserSpec(name, {**settings, "occurrence": "last"})
    pattern = sought if regular else re.escape(sought)
    count = sum(1 for _ in re.finditer(pattern, text.content.replace("\r\n", "\n"), re.MULTILINE))
    for occurrence in range(1, min(count, _MOST) + 1):
        yield ParserSpec(name, {**settings, "occurrence": occurrence})


def _of_xml(text: Text, number: Number) -> Iterator[ParserSpec]:
    from xml.etree import ElementTree

    if "<!DOCTYPE" in text.content:
        return
    try:
        root = ElementTree.fromstring(text.data)
    except (ElementTree.ParseError, ValueError):
        return
    seen: dict[str, int] = {}
    for element in list(root.iter())[: 50 * _MOST]:
        # A comment has no name.
        tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
        seen[tag] = seen.get(tag, 0) + 1
        names = [key for key, value in element.attrib.items() if value.strip() == number.text]
        for attribute in [*names, *([""] if (element.text or "").strip() == number.text else [])]:
            settings = {"file": text.name, "element": tag, **({"attribute": attribute} if attribute else {})}
            yield ParserSpec("Xml", settings)
            yield ParserSpec("Xml", {**settings, "occurrence": seen[tag]})


def _of_json(text: Text, number: Number) -> Iterator[ParserSpec]:
    try:
        content = json.loads(text.content.lstrip("\ufeff"), parse_int=float)
    except (ValueError, RecursionError):
        return
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
    while waiting:
        path, item = waiting.pop(0)
        if isinstance(item, (dict, list)):
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            waiting += [((*path, key), value) for key, value in pairs]
        elif item in (number.value, number.text) and not isinstance(item, bool):
            yield ParserSpec("Json", {"file": text.name, "path": path})


def _of_table(text: Text, number: Number) -> Iterator[ParserSpec]:
    """Yield parsers of a table with names in its first line."""
    rows = [(n, text.line(n)) for n in range(1, text.n_lines + 1) if text.line(n).strip()]
    body = [n for n, _ in rows]
    for separator in _SEPARATORS:
        names = [name.strip().strip('"') for name in _split(rows[0][1], separator)]
        fields = [field.strip().strip('"') for field in _split(text.line(number.line), separator)]
        if len(names) < 2 or len(names) != len(fields) or fields.count(number.text) < 1:
            continue
        for i, field in enumerate(fields):
            if field == number.text and re.search("[A-Za-z]", names[i]):
                row = {} if number.line == body[-1] else {"row": body.index(number.line) - 1}
                settings = {"file": text.name, "column": names[i], **row}
                yield ParserSpec(
                    "Csv", {**settings, "separator": separator} if separator != "," else settings
                )


def _split(line: str, separator: str) -> list[str]:
    """Return the fields of a line; a blank means any blanks."""
    return line.split(None if separator == " " else separator)


def _of_row(text: Text, number: Number, line: str) -> Iterator[ParserSpec]:
    """Yield parsers of a row that begins with a name."""
    words = line.split()
    if not re.search("[A-Za-z]", words[0]):
        return
    for i, word in enumerate(words[1:]):
        if word == number.text:
            between = rf"(?:\S+\s+){{{i}}}" if i else ""
            pattern = rf"^\s*{re.escape(words[0])}\s+{between}(\S+)"
            settings = {"file": text.name, "pattern": pattern}
            yield from _counted("Regex", settings, text, pattern, regular=True)


def _of_columns(text: Text, number: Number, line: str) -> Iterator[ParserSpec]:
    """Yield parsers by line and column, from the end of the file if it ends there."""
    last = text.content.rstrip().count("\n") + 1
    for separator in (None, ",", ";"):
        for column, word in enumerate(line.split(separator), 1):
            if word.strip() == number.text:
                place = -1 if number.line == last else number.line
                settings = {"file": text.name, "line": place, "column": column}
                yield ParserSpec(
                    "LineColumn", {**settings, "separator": separator} if separator else settings
                )


def _pattern(text: Text, number: Number, line: str) -> str:
    """Return a pattern of what stands before the number on its line, other numbers left open."""
    parts, start = [], 0
    for i in text.span(number.line)[: number.rank]:
        one = text.number(i)
        parts.append(r"\s+".join(map(re.escape, re.split(r"\s+", line[start : one.column - 1]))))
        start = one.column - 1 + len(one.text)
    return f"^{_NUMBERLIKE.join(parts)}({_NUMBERLIKE})"
