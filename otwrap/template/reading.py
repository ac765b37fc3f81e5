"""The point of an input file that was written before: a template, the other way round."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..formats import NumberFormat
from ._checks import line_of
from ._kept import _BoundFile
from ._text_file import BoundTemplate
from .tokens import _BoundTokens

__all__ = ["read_point"]

_NUMBER = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdDqQ][+-]?[0-9]+|(?<=[0-9.])[+-][0-9]{3})?|(?i:nan|inf(?:inity)?))"
_SLOT = rf"[ \t]*{_NUMBER}[ \t]*"
_WITHOUT_LETTER = re.compile(r"(?<=[0-9.])(?=[+-])")
#: Numbers whose texts have one length only where a format has a width.
_PROBES = (1.0, -3.0, 22.0, 1e-120)


class _Mark(NamedTuple):
    """A value that was read: of which input, how it is written, and where it stands."""

    component: int
    number: NumberFormat
    text: str
    value: float
    place: str

    def may_be(self, value: float) -> bool:
        """Whether a value, written as the template says, gives the number that stands here."""
        try:
            return self.value == value or self.value == _float(self.number.write(value))
        except ValueError:
            return False


def read_point(
    templates: Mapping[str, BoundTemplate], folder: str | os.PathLike[str], inputs: Sequence[str]
) -> tuple[float, ...]:
    """Return the point that the input files of a folder were written for.

    What stands around the values must be the text of the templates, character for character, and so must files
    without tokens. The numbers may be written in any usual way.

    Parameters
    ----------
    templates : mapping
        File -> template, as :func:`otwrap.template.bind_all` returns them.
    folder : path
        Where the files are.
    inputs : sequence of str
        The names of the components of a point.

    Returns
    -------
    point : tuple of float, shape (input dimension,)

    Raises
    ------
    InputError
        If a file is missing or is not of its template, an input stands nowhere, or has two values.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from otwrap.template import bind_all
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "beam.tmpl").write_text("force @F N")
    >>> _ = (folder / "beam.txt").write_text("force 1.5D+03 N")
    >>> read_point(bind_all({"beam.txt": folder / "beam.tmpl"}, ["F"]), folder, ["F"])
    (1500.0,)
    """
    marks: list[_Mark] = []
    for name, bound in templates.items():
        path = os.path.join(folder, name)
        # Files without values may have been cleared away since: a mesh, say.
        if not bound.inputs_used and not os.path.isfile(path):
            continue
        if isinstance(bound, _BoundTokens):
            marks += _marks(bound, path)
        elif not isinstance(bound, _BoundFile):
            msg = f"{name!r} comes from a template of Jinja, which cannot be read backwards; give the points in a table"
            raise InputError(msg)
        elif type(bound) is _BoundFile and _content(path) != bound._content:
            raise InputError(f"{path} differs from the model's {bound.path}")
    return tuple(
        _agreed(name, [mark for mark in marks if mark.component == i]) for i, name in enumerate(inputs)
    )


def _content(path: str) -> bytes:
    """Return what is in a file, or raise."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"the input file {path} cannot be read: {error.strerror}") from None


def _marks(bound: _BoundTokens, path: str) -> list[_Mark]:
    """Return what stands at the places of the tokens."""
    content, bom = _content(path), bound._pieces[0]
    try:
        text = content.removeprefix(bom).decode(bound._codec)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not in the encoding of its template: {error}") from None
    literals = [piece.decode(bound._codec) for piece in bound._pieces[1:]]
    fields = {slot - 1: field for field in bound._fields for slot in field[2]}
    parts = [
        f"({_slot_pattern(i, literals, fields, path)})" if i in fields else re.escape(literal)
        for i, literal in enumerate(literals)
    ]
    found = re.fullmatch("".join(parts), text)
    if found is None:
        raise InputError(_first_difference(literals, fields, text, path))
    return [
        _mark(fields[i][0], fields[i][1], found[group], f"line {line_of(text, found.start(group))} of {path}")
        for group, i in enumerate(sorted(fields), 1)
    ]


def _mark(component: int, number: NumberFormat, text: str, place: str) -> _Mark:
    """Return a value that was read; a column of some width may hold anything."""
    try:
        return _Mark(component, number, text, _float(text), place)
    except ValueError:
        raise InputError(f"{place}: a number is expected, not {text!r}") from None


def _slot_pattern(i: int, literals: Sequence[str], fields: Mapping[int, Any], path: str) -> str:
    """Return what a value looks like: a number, or a column of a width where values stand side by side."""
    # Literals and values take turns: two values without anything between them have an empty literal there.
    beside = any(
        not literals[near] and abs(near - i) == 1 and (2 * near - i) in fields for near in (i - 1, i + 1)
    )
    if not beside:
        return _SLOT
    width = _width(fields[i][1])
    if not width:
        msg = f"{path}: token {fields[i][3]!r} stands right beside another one, and its format has no width: where its value ends cannot be known; give the points in a table"
        raise InputError(msg)
    return f".{{{width}}}"


def _width(number: NumberFormat) -> int:
    """Return the length of every text that a format writes, 0 if they differ."""
    if callable(number.spec):
        return 0
    lengths = set()
    for probe in _PROBES:
        try:
            lengths.add(len(number.write(probe)))
        except ValueError:
            continue
    return lengths.pop() if len(lengths) == 1 else 0


def _first_difference(literals: Sequence[str], fields: Mapping[int, Any], text: str, path: str) -> str:
    """Say where a file leaves its template."""
    place, number = 0, re.compile(_SLOT)
    for i, literal in enumerate(literals):
        if i in fields:
            found = number.match(text, place)
            if not found:
                (there,) = text[place : place + 20].splitlines()[:1] or [""]
                return f"line {line_of(text, place)} of {path}: a number is expected for token {fields[i][3]!r}, not {there!r}"
            # Blanks behind a number may be the template's.
            place = (
                found.end()
                if text.startswith(literals[i + 1], found.end())
                else place + len(found[0].rstrip())
            )
        elif not text.startswith(literal, place):
            same = len(os.path.commonprefix([literal, text[place:]]))
            wanted, there = (part[same : same + 40].split("\n")[0] for part in (literal, text[place:]))
            return f"line {line_of(text, place + same)} of {path}: the template has {wanted!r} where the file has {there!r}"
        else:
            place += len(literal)
    if place < len(text):
        return f"line {line_of(text, place)} of {path}: the template ends here, the file goes on"
    return f"{path} does not fit its template"


def _float(text: str) -> float:
    """Return the number that a text is, Fortran's exponents included."""
    plain = re.sub("[dDqQ]", "e", text.strip()) if "n" not in text.lower() else text.strip()
    if "e" not in plain.lower():
        plain = _WITHOUT_LETTER.sub("e", plain)
    return float(plain)


def _agreed(name: str, marks: Sequence[_Mark]) -> float:
    """Return the value on which all places of an input agree."""
    if not marks:
        raise InputError(f"the input {name!r} stands in no input file; give the points in a table")
    odd = next((mark for mark in marks if not isfinite(mark.value)), None)
    if odd:
        raise InputError(f"{odd.place}: {odd.text.strip()!r}, for {name!r}, is not finite")
    # The longest text has lost the least digits.
    for mark in sorted(marks, key=lambda mark: -len(mark.text.strip())):
        if all(other.may_be(mark.value) for other in marks):
            return mark.value
    told = ", ".join(f"{mark.text.strip()} in {mark.place}" for mark in marks)
    raise InputError(f"the input {name!r} has two values: {told}")
