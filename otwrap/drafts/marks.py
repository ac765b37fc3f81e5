"""Tokens in place of numbers, with a mark that stands for nothing else in the files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from .names import AnswerError
from .texts import Number, Text, Texts

__all__ = ["marked"]

# What may stand around the name of an input: the first pair that leaves no doubt is taken.
_MARKS = (("@", "@"), ("@@", "@@"), ("%%", "%%"), ("<<", ">>"), ("[[", "]]"), ("~~", "~~"), ("@{", "}@"))

#: Name of an input -> the numbers that it replaces.
Places: TypeAlias = Mapping[str, Sequence[Number]]


def marked(texts: Texts, places: Places) -> tuple[str, str, dict[str, bytes]]:
    """Return a mark that leaves no doubt, and the contents with tokens for numbers.

    Parameters
    ----------
    texts : Texts
        The input files.
    places : mapping
        Name of an input -> the numbers that it replaces.

    Returns
    -------
    left, right : str
        What stands before and after the name in a token.
    contents : dict
        File -> its template; as it was, if nothing is replaced.

    Raises
    ------
    AnswerError
        If each mark that is known stands in a file already.

    Examples
    --------
    >>> texts = Texts([Text("a.inp", b"@b@ E = 5")])
    >>> marked(texts, {"E": [texts.number(1)]})
    ('@@', '@@', {'a.inp': b'@b@ E = @@E@@'})
    """
    for left, right in _MARKS:
        mark = re.compile(rf"{re.escape(left)}\w+{re.escape(right)}")
        contents = {text.name: _tokens_in(text, places, left, right) for text in texts}
        if all(mark.findall(content) == tokens for content, tokens in contents.values()):
            coded = {
                text.name: contents[text.name][0].encode(text.codec) if text.codec else text.data
                for text in texts
            }
            _check_back(texts, places, coded, mark)
            return left, right, coded
    shown = ", ".join(f"{left}NAME{right}" for left, right in _MARKS)
    raise AnswerError(f"the input files have texts like all the tokens that could stand for numbers: {shown}")


def _tokens_in(text: Text, places: Places, left: str, right: str) -> tuple[str, list[str]]:
    """Return the content of a file with tokens for numbers, and the tokens in order."""
    found = [
        (n.start, n.end, name) for name, numbers in places.items() for n in numbers if n.file == text.name
    ]
    parts, tokens, last = [], [], 0
    for start, end, name in sorted(found):
        tokens.append(f"{left}{name}{right}")
        parts += [text.content[last:start], tokens[-1]]
        last = end
    return "".join([*parts, text.content[last:]]), tokens


def _check_back(texts: Texts, places: Places, contents: Mapping[str, bytes], mark: re.Pattern[str]) -> None:
    """Raise unless the templates with the numbers as they were are the input files, byte for byte."""
    for text in texts:
        if not text.codec:
            continue
        found = [one for numbers in places.values() for one in numbers if one.file == text.name]
        originals = [one.text for one in sorted(found, key=lambda one: one.start)]
        parts = mark.split(contents[text.name].decode(text.codec))
        back = "".join(part + one for part, one in zip(parts, [*originals, ""], strict=True))
        if back.encode(text.codec) != text.data:
            raise AnswerError(f"{text.name} cannot be had back from its template; please report this file")
