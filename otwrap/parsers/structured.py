"""Parsers of JSON and XML."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._select import check_occurrence, describe, select
from ._words import excerpt, hint, some
from .base import Range
from .files import TextParser

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["Json", "Xml"]

_STEP = re.compile(r"""\.?([^.\[\]]+)|\[(-?[0-9]+)\]|\[(?:"([^"]*)"|'([^']*)')\]""")


class _Object(dict[str, Any]):
    """A JSON object that remembers which names were given twice."""

    twice: frozenset[str] = frozenset()


class Json(TextParser):
    """The number, or the array of numbers, at a path in a JSON file.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    path : str or sequence of str and int
        Names and indices, from 0 or from -1 for the last: ``results.max_stress``, ``nodes[3].u``,
        ``[-1]``, ``results['a.b']`` or ``("results", "a.b")``. An empty path is the whole file.
    encoding, decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`. A number written as a string is read.

    Raises
    ------
    ValueError
        The path cannot be read.

    Examples
    --------
    >>> from otwrap.parsers import Json
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "out.json").write_text('{"nodes": [{"u": 1}, {"u": 2.5}], "w": [1, 2]}')
    ...     Json("out.json", "nodes[-1].u")(workdir), Json("out.json", "w")(workdir)
    ([2.5], [1.0, 2.0])
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        path: str | Iterable[str | int],
        *,
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        self.path = _steps(path) if isinstance(path, str) else tuple(path)
        for step in self.path:
            if isinstance(step, bool) or not isinstance(step, (str, int)):
                raise ValueError(f"path has {step!r}; give names (str) and indices (int)")

    def _read(self, workdir: str) -> list[float]:
        import json

        try:
            content = json.loads(self._text(workdir), parse_int=float, object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            found = f"no JSON: {error.msg} in {excerpt(error.doc[max(0, error.pos - 20) : error.pos + 20])}"
            raise self._error(found, "Look whether the code wrote it to its end", line=error.lineno) from None
        except RecursionError:
            raise self._error("brackets nested too deep", "Look at what the code wrote") from None
        for depth, step in enumerate(self.path):
            content = self._step(content, step, depth)
        return self._numbers(content)

    def _step(self, content: Any, step: str | int, depth: int) -> Any:
        """Go one step down the path."""
        here = repr(_path(self.path[:depth])) if depth else "the top"
        if isinstance(step, str) and isinstance(content, _Object):
            if step in content.twice:
                found = f"{step!r} more than once at {here}"
                raise self._error(found, "Make the code write each name once", "no match")
            if step in content:
                return content[step]
            advice = f"Look at the code's log, or correct the path{hint(step, content)}"
            raise self._error(f"no {step!r} at {here}, which has {some(content)}", advice, "no match")
        if isinstance(step, int) and isinstance(content, list):
            if -len(content) <= step < len(content):
                return content[step]
            found = f"{len(content)} items at {here}"
            raise self._error(found, f"Correct the index [{step}]; it counts from 0", "no match")
        wanted = "an array for the index" if isinstance(step, int) else "an object for the name"
        raise self._error(
            f"{_kind(content)} at {here}", f"{step!r} needs {wanted}: correct the path", "no match"
        )

    def _numbers(self, content: Any) -> list[float]:
        if isinstance(content, float):
            return [content]
        if isinstance(content, str):
            return [self._number(content)]
        if isinstance(content, list) and content:
            return [number for item in content for number in self._numbers(item)]
        raise self._error(_kind(content), "Correct the path or the code's output", "not a number")

    def _sought(self) -> str:
        return f"the number at {_path(self.path)!r}" if self.path else "a number"


class Xml(TextParser):
    """The number in an attribute or text of an XML element.

    Nothing outside the file is fetched, and a file that declares entities is refused, so that a
    hostile file can neither read others nor fill the memory.

    Parameters
    ----------
    file : str
        The output file, relative to the work directory.
    element : str, optional
        The element's name, anywhere in the file; without a namespace in braces, of any namespace.
    attribute : str, optional
        The attribute that is the number; default is the element's text.
    occurrence : int or {"first", "last", "all"}, optional
        Which element, from 1, or from -1 for the last; "all" gives all numbers.
        By default there must be exactly one.
    xpath : str, optional
        In place of `element`: a path as :mod:`xml.etree.ElementTree` takes it, from the root element:
        ``"./a/b[@id='3']"``.
    encoding : str, optional
        Only for a file whose bytes do not fit its own declaration. Default is UTF-8.
    decimal, valid, allow_nan
        As in :class:`~otwrap.parsers.TextParser`.

    Raises
    ------
    ValueError
        Not exactly one of `element` and `xpath` is given, or a setting means nothing.

    Examples
    --------
    >>> from otwrap.parsers import Xml
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     text = "<run><outputs deviation='2.5'/><node id='3'>1.5</node></run>"
    ...     _ = pathlib.Path(workdir, "out.xml").write_text(text)
    ...     Xml("out.xml", "outputs", "deviation")(workdir), Xml("out.xml", xpath="./node[@id='3']")(workdir)
    ([2.5], [1.5])
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        element: str | None = None,
        attribute: str | None = None,
        *,
        occurrence: int | str | None = None,
        xpath: str | None = None,
        encoding: str = "utf-8",
        decimal: str = ".",
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        super().__init__(file, encoding=encoding, decimal=decimal, valid=valid, allow_nan=allow_nan)
        if bool(element) == bool(xpath):
            raise ValueError(f"element is {element!r} and xpath {xpath!r}; give exactly one of them")
        if xpath:
            _check_xpath(xpath)
        check_occurrence(occurrence, None)
        self.element = element
        self.attribute = attribute
        self.occurrence = occurrence
        self.xpath = xpath

    def _read(self, workdir: str) -> list[float]:
        root = self._root(self._data(workdir))
        found, seen = select(self._elements(root), self.occurrence, None)
        if not found:
            names = list(dict.fromkeys(_local(element) for element in root.iter()))
            what = f"{len(seen)} elements" if seen else f"no such element among {some(names)}"
            advice = f"Correct the name{hint(self.element, names)}" if self.element else "Correct the xpath"
            advice = "Say which with occurrence= or xpath=" if seen else f"Look at the code's log. {advice}"
            raise self._error(what, advice, "no match")
        return [self._value(element) for element in found]

    def _root(self, data: bytes) -> Element:
        from xml.etree import ElementTree

        if data.isspace():
            raise self._error(
                "blanks only", "Look at the code's log for why it wrote nothing", "output empty"
            )
        try:
            # UTF-16, which could hide a DOCTYPE from a look at the bytes, has zeros.
            if b"<!DOCTYPE" in data or b"\0" in data:
                self._refuse_entities(data)
            try:
                return ElementTree.fromstring(data)
            except ElementTree.ParseError:
                text = data.decode(self.encoding, "replace")
                if "\ufffd" not in text and self.encoding.lower().replace("-", "") == "utf8":
                    raise
                self._refuse_entities(text)
                return ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            line = error.position[0]
            content = b"".join(data.splitlines()[line - 1 : line]).decode(self.encoding, "replace")
            found = f"no XML: {error} in {excerpt(content.strip())}"
            raise self._error(found, "Look whether the code wrote it to its end", line=line) from None

    def _refuse_entities(self, data: bytes | str) -> None:
        """Raise at the first declaration of an entity, before any is expanded."""
        from xml.parsers import expat

        def refuse(name: str, *_: object) -> None:
            raise self._error(
                f"a declaration of the entity {name!r}", "Make the code write XML without entities"
            )

        parser = expat.ParserCreate()
        parser.EntityDeclHandler = refuse
        try:
            parser.Parse(data, True)
        except expat.ExpatError:
            return  # ElementTree meets the same error and tells it

    def _elements(self, root: Element) -> list[Element]:
        if self.xpath:
            return root.findall(self.xpath)
        element = self.element or ""
        if element.startswith("{"):
            return list(root.iter(element))
        return [each for each in root.iter() if _local(each) == element]

    def _value(self, element: Element) -> float:
        if self.attribute is None:
            return self._number(element.text or "")
        value = element.get(self.attribute)
        if value is None:
            found = f"<{_local(element)}> with the attributes {some(element.attrib)}"
            advice = f"Correct the attribute{hint(self.attribute, element.attrib)}"
            raise self._error(found, advice, "no match")
        return self._number(value)

    def _sought(self) -> str:
        what = f"attribute {self.attribute!r} of" if self.attribute else "the text of"
        where = self.xpath if self.xpath else f"<{self.element}>"
        return f"{what} {where} ({describe(self.occurrence, None)})"


def _steps(path: str) -> tuple[str | int, ...]:
    """Split a path such as ``nodes[3].u`` into its steps."""
    steps: list[str | int] = []
    start = 0
    while start < len(path):
        match = _STEP.match(path, start)
        # A name needs a point before it, but for the first.
        if not match or (match[1] and (path[start] == ".") == (start == 0)):
            raise ValueError(
                f"path is {path!r}, unreadable from {path[start:]!r}; "
                "give it as 'results.max', 'nodes[3].u' or ('results', 'a.b', 3)"
            )
        name = next((part for part in (match[1], match[3], match[4]) if part is not None), None)
        steps.append(int(match[2]) if name is None else name)
        start = match.end()
    return tuple(steps)


def _path(steps: tuple[str | int, ...]) -> str:
    """Write steps as a path."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    content = _Object(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        content.twice = frozenset(name for name in names if names.count(name) > 1)
    return content


def _kind(content: Any) -> str:
    """Name a JSON value in words."""
    if isinstance(content, dict):
        return f"an object with {some(content)}"
    if isinstance(content, list):
        return f"an array of {len(content)} items"
    names = {None: "null", True: "true", False: "false"}
    return excerpt(str(content)) if isinstance(content, (str, float)) else names[content]


def _local(element: Element) -> str:
    """Return an element's name without its namespace; comments have none."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _check_xpath(xpath: str) -> None:
    from xml.etree.ElementTree import Element

    try:
        if xpath.startswith("/"):
            raise SyntaxError("it starts at the root element, with './'")
        Element("x").findall(xpath)
    except (SyntaxError, KeyError, TypeError) as error:  # the latter two for an '@' or '[' out of place
        raise ValueError(
            f"xpath is {xpath!r}: {error}; give what xml.etree.ElementTree takes, as \"./a/b[@id='3']\", "
            "and the attribute as attribute="
        ) from None
