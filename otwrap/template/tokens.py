"""Literal tokens, each of which a value replaces."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ._checks import Tokens, check_tokens, checked_names, hint, line_of, listed, token_table
from ._text_file import BoundTemplate, Formats, PathLike, TextFile, unused

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Template"]


class Template(TextFile):
    """An input file with literal tokens, each of which a value replaces.

    All tokens are replaced in one pass from left to right, the longest first where several fit
    (``@X10`` before ``@X1``): nothing in a value is ever replaced again. Nothing else changes: byte
    order mark, line ends and permissions stay.

    Parameters
    ----------
    path : str or path-like
        The template. It is read now and not needed later.
    tokens : sequence of str or dict, optional
        One token per input, in their order, or token -> name of the input; each must appear in this
        template. Default is what :meth:`bind` is given.
    formats : str, callable or dict, optional
        One :class:`~otwrap.formats.NumberFormat` for all numbers, or one by token or by name of the
        input (the token wins). Default is the shortest text that reads back as the same double.
    constants : dict, optional
        Token -> text or number: tokens that do not vary. Each must appear. A whole number is
        written as such unless it has a format.
    mark : str, optional
        A regular expression of what a token looks like, such as ``r"@\\w+"``: what matches it and is
        no token is an error.
    encoding : str, optional
        Of the template and of what is written; default is UTF-8.

    Attributes
    ----------
    path : str
        The absolute path.
    source : bytes
        The content.
    mode : int
        The permissions that written files get: those of the template, and the owner may write.

    Raises
    ------
    InputError
        If the file cannot be read, a token or constant does not appear, or a mark is left over.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from otwrap.template import Template
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "beam.tmpl")
    >>> _ = path.write_text("F=@F E=@E\\n")
    >>> Template(path, formats={"E": ".3e"}).bind(["F", "E"]).render([0.1, 3e10])
    b'F=0.1 E=3.000e+10\\n'
    >>> folder.cleanup()
    """

    style = "tokens"
    #: Whether every token and constant must appear in this very file.
    _alone = True

    def __init__(
        self,
        path: PathLike,
        tokens: Tokens = None,
        *,
        formats: Formats = None,
        constants: Mapping[str, str | float] | None = None,
        mark: str | None = None,
        encoding: str = "utf-8",
    ) -> None:
        super().__init__(path, formats, constants, encoding)
        self.tokens = (
            dict(tokens) if isinstance(tokens, Mapping) else tokens if tokens is None else list(tokens)
        )
        try:
            self.mark = None if mark is None else re.compile(mark)
        except re.error as error:
            raise InputError(f"mark={mark!r} is no regular expression: {error}") from error
        self._write_constants()
        if tokens is not None:
            check_tokens(tokens, self.constants)
            appear = {token for _, _, token in self._found(tokens)}
            if self._alone and (absent := [token for token in tokens if token not in appear]):
                near = "".join(self._near("", token) for token in absent)
                raise InputError(f"{listed('token', absent)} not in {self.path}.{near}")

    def bind(self, inputs: Sequence[str], tokens: Tokens = None) -> BoundTemplate:
        """Check the tokens against the inputs.

        Parameters
        ----------
        inputs : sequence of str
            The names of the components of a point.
        tokens : sequence of str or dict, optional
            One token per input, in their order, or token -> name of the input. Those of the template
            itself come first. Default is the names preceded by ``@``. They may be shared by several
            templates, so that one that does not appear here is no error; see :func:`bind_all`.

        Returns
        -------
        bound : BoundTemplate
            Ready to be rendered.

        Raises
        ------
        InputError
            If tokens and inputs do not fit, a token is given twice, or a mark is left over.
        """
        bound = self._bind(checked_names(inputs), tokens)
        if self.tokens is None and tokens is None and not bound.inputs_used:
            raise unused({self.path: self}, inputs, {f"@{name}": name for name in inputs})
        return bound

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the template, without paths.

        Returns
        -------
        fingerprint : dict of str
            That of every template, with the tokens and the mark.
        """
        mark = self.mark.pattern if self.mark else ""
        return {**super().fingerprint(), "tokens": json.dumps(self.tokens, sort_keys=True), "mark": mark}

    def _bind(self, inputs: Sequence[str], tokens: Tokens) -> BoundTemplate:
        given = tokens if self.tokens is None else self.tokens
        table = token_table(inputs, given, self.constants)
        self._check_formats([*table, *inputs, *self.constants])
        bound = _BoundTokens(self, inputs, table)
        if given is None:
            self._check_ends(table)
        return bound

    def _write_constants(self) -> None:
        self._constant_texts = {token: self._constant(token) for token in self.constants}

    def _with_constants(self, constants: Mapping[str, Any]) -> Self:
        changed = super()._with_constants(constants)
        changed._write_constants()
        return changed

    def _constant(self, token: str) -> str:
        """Return the text of a constant."""
        value = self.constants[token]
        where = f"constant {token!r} = {value!r} of {self.path}"
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise InputError(f"{where}: give a text or a number")
        try:
            if isinstance(value, str) or (isinstance(value, int) and self._format_of(token).spec is None):
                text = str(value)
            else:
                text = self._format_of(token).write(value)
            text.encode(self._codec)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{where}: {error}") from error
        return text

    def _found(self, tokens: Iterable[str]) -> list[tuple[int, int, str]]:
        """Return start, end and token of all that is to be replaced; check constants and mark."""
        names = sorted({*tokens, *self.constants}, key=lambda token: (-len(token), token))
        text = self._text()
        pattern = "|".join(map(re.escape, names))
        found = [(m.start(), m.end(), m.group()) for m in re.finditer(pattern, text)] if names else []
        appear = {token for _, _, token in found}
        if self._alone and (absent := [token for token in self.constants if token not in appear]):
            near = "".join(self._near("", token) for token in absent)
            raise InputError(f"{listed('constant', absent)} not in {self.path}.{near}")
        if self.mark:
            self._check_mark(self.mark, text, found, names)
        return found

    def _check_mark(
        self, mark: re.Pattern[str], text: str, found: list[tuple[int, int, str]], names: list[str]
    ) -> None:
        """Raise if the mark matches outside of what is replaced."""
        tokens = iter([*found, (len(text) + 1, len(text) + 1, "")])
        start, end, _ = next(tokens)
        left = []
        for match in mark.finditer(text):
            while end < match.end():
                start, end, _ = next(tokens)
            if match.group() and match.start() < start:
                left.append(
                    f"line {line_of(text, match.start())}: {match.group()!r}{hint(match.group(), names)}"
                )
        if left:
            more = f" and {len(left) - 10} more" if len(left) > 10 else ""
            msg = f"left over in {self.path}, for mark={mark.pattern!r} says that these are tokens: "
            raise InputError(msg + "; ".join(left[:10]) + more)

    def _check_ends(self, table: Mapping[str, str]) -> None:
        """Raise if a token that nobody gave is only the start of a word, as ``@X1`` is of ``@X12``."""
        text = self._text()
        for _, end, token in self._found(table):
            word = re.compile(r"\w+|@(?!\w)").match(text, end)
            if token in table and word:
                where = f"line {line_of(text, end)} of {self.path}"
                msg = (
                    f"{where}: {token + word.group()!r} is more than {token!r} of the input {table[token]!r}"
                )
                raise InputError(f"{msg}; say what the tokens are: tokens=[...]")

    def _cut(self, found: list[tuple[int, int, str]]) -> tuple[list[bytes], dict[str, list[int]]]:
        """Return the segments, and where in them the values of each token go."""
        text, pieces, places = self._text(), [self._bom], dict[str, list[int]]()
        literal, last = "", 0
        for start, end, token in found:
            literal += text[last:start]
            last = end
            if token in self._constant_texts:
                literal += self._constant_texts[token]
                continue
            places.setdefault(token, []).append(len(pieces) + 1)
            pieces += [literal.encode(self._codec), b""]
            literal = ""
        pieces.append((literal + text[last:]).encode(self._codec))
        return pieces, places

    def _near(self, name: str, token: str) -> str:
        """Return words of the text that look like `token`, or the ways in which `name` stands there."""
        text = self._text()
        ways = [
            f"@{name}@",
            f"${{{name}}}",
            f"{{{{{name}}}}}",
            f"{{{name}}}",
            f"%{name}%",
            f"<{name}>",
            f"${name}",
        ]
        if name and (written := next((way for way in ways if way in text), "")):
            return f" There is {written!r} in line {line_of(text, text.index(written))} of {self.path}."
        head = (re.match(r"\W*", token) or [""])[0]
        # With and without a closing character, as in @F@ and @F.
        words = re.findall(f"(({re.escape(head)}[^\\W\\d]\\w*)[^\\w\\s]?)", text)[:100_000]
        folded = {word.casefold(): word for pair in words for word in pair}
        near = difflib.get_close_matches(token.casefold(), folded, 1, 0.6)
        if not near:
            return ""
        where = "" if self._alone else f" of {self.path}"
        return f" Near {token!r}: {folded[near[0]]!r} in line {line_of(text, text.index(folded[near[0]]))}{where}."


class _BoundTokens(BoundTemplate):
    """Segments of bytes, with places for the values."""

    def __init__(self, template: Template, inputs: Sequence[str], table: Mapping[str, str]) -> None:
        found = template._found(table)
        super().__init__(template, inputs, {table[token] for _, _, token in found if token in table})
        self.overlaps = tuple((a, b) for a in table for b in table if a != b and a in b)
        self._fingerprint["tokens"] = json.dumps(table, sort_keys=True)
        self._codec = template._codec
        self._pieces, places = template._cut(found)
        self._fields = tuple(
            (self.inputs.index(table[token]), template._format_of(token, table[token]), tuple(slots), token)
            for token, slots in places.items()
        )

    def render(self, x: Sequence[float]) -> bytes:
        if len(x) != len(self.inputs):
            raise self._wrong_size(x)
        pieces = self._pieces.copy()
        codec = self._codec
        try:
            for index, number, slots, token in self._fields:  # noqa: B007
                value = number.write(x[index]).encode(codec)
                for slot in slots:
                    pieces[slot] = value
        except (ValueError, TypeError, OverflowError) as error:
            msg = f"input {self.inputs[index]} = {x[index]!r}, token {token!r} of {self.path}: {error}"
            raise InputError(msg) from error
        return b"".join(pieces)
