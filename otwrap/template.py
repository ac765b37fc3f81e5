"""Tokens become values in an input file, and no digit is lost.

Two styles: :class:`Template` replaces literal tokens, :class:`Jinja` renders Jinja2 for loops,
conditions and formulas. Both are checked when they are bound to the names of the inputs, so that
what is wrong is told before the first point runs.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
import os
import re
import stat
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import InputError
from .formats import NumberFormat, Spec

if TYPE_CHECKING:
    import jinja2

__all__ = ["BoundTemplate", "Jinja", "Template", "bind_all"]

_Path: TypeAlias = str | os.PathLike[str]
_Tokens: TypeAlias = Sequence[str] | Mapping[str, str] | None
_Formats: TypeAlias = Spec | Mapping[str, Spec]

# The order matters: the mark of UTF-32-LE starts with that of UTF-16-LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# A linked file of the user is never written through.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class BoundTemplate(ABC):
    """A template whose names are known to fit the inputs, ready to be rendered. Can be pickled.

    It is made by :meth:`Template.bind`, :meth:`Jinja.bind` or :func:`bind_all`.

    Attributes
    ----------
    inputs : tuple of str
        The names of the components of a point.
    inputs_used : frozenset of str
        Those that appear in this template.
    overlaps : tuple of (str, str)
        Pairs of tokens of which the first is a part of the second; the longer one wins.
    path : str
        The template it comes from.
    mode : int
        The permissions of what is written.
    """

    def __init__(self, template: _TextFile, inputs: Sequence[str], used: Iterable[str]) -> None:
        self.inputs = tuple(inputs)
        self.inputs_used = frozenset(used)
        self.overlaps: tuple[tuple[str, str], ...] = ()
        self.path = template.path
        self.mode = template.mode
        self._fingerprint = template.fingerprint()
        self._fingerprint["inputs"] = json.dumps(self.inputs)

    @abstractmethod
    def render(self, x: Sequence[float]) -> bytes:
        """Return the content of the input file of a point.

        Parameters
        ----------
        x : sequence of float, shape (input dimension,)
            The point.

        Returns
        -------
        content : bytes
            In the encoding of the template.

        Raises
        ------
        InputError
            If a value cannot be written as its format says.
        """

    def write(self, x: Sequence[float], destination: str) -> None:
        """Write the input file of a point.

        Parameters
        ----------
        x : sequence of float, shape (input dimension,)
            The point.
        destination : str
            The file; it is replaced if it exists, and its folder is made if it does not.

        Raises
        ------
        InputError
            If a value cannot be written as its format says, or the file cannot be written.
        """
        content = self.render(x)
        try:
            try:
                descriptor = os.open(destination, _FLAGS, self.mode)
            except FileNotFoundError:
                Path(destination).parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(destination, _FLAGS, self.mode)
            try:
                done = os.write(descriptor, content)
                while done < len(content):
                    done += os.write(descriptor, content[done:])
                # The umask may have taken bits away, and a file that was there has its own.
                os.fchmod(descriptor, self.mode)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise InputError(f"the input file {destination} cannot be written: {error}") from error

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the template and its tokens, without paths.

        Returns
        -------
        fingerprint : dict of str
            That of the template, with the tokens as bound and the inputs.
        """
        return dict(self._fingerprint)

    def _wrong_size(self, x: Sequence[float]) -> InputError:
        return InputError(
            f"{len(x)} values for {len(self.inputs)} inputs ({', '.join(self.inputs)}): {list(x)}"
        )


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


class _BoundJinja(BoundTemplate):
    """A Jinja2 template, compiled when it is first needed in a process."""

    def __init__(self, template: Jinja, inputs: Sequence[str], used: Iterable[str]) -> None:
        super().__init__(template, inputs, used)
        self._template = template
        self._compiled: jinja2.Template | None = None
        self._formats = {name: template._format_of(name) for name in self.inputs if name in template._formats}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": None}

    def render(self, x: Sequence[float]) -> bytes:
        if len(x) != len(self.inputs):
            raise self._wrong_size(x)
        template = self._template
        if self._compiled is None:
            self._compiled = template._environment().from_string(template._text())
        import jinja2

        try:
            values: dict[str, Any] = dict(zip(self.inputs, map(float, x), strict=True))
            for name, number in self._formats.items():
                values[name] = _Formatted(values[name], number)
            return template._bom + self._compiled.render(values).encode(template._codec)
        except (
            jinja2.TemplateError,
            ValueError,
            TypeError,
            ArithmeticError,
            LookupError,
            AttributeError,
        ) as error:
            lines = [
                f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "<template>"
            ]
            where = f"line {lines[-1]} of {self.path}" if lines else self.path
            point = ", ".join(f"{name} = {value!r}" for name, value in zip(self.inputs, x, strict=True))
            raise InputError(f"{where}: {type(error).__name__}: {error} (with {point})") from error


class _Formatted(float):
    """A float that knows how it is written."""

    number: NumberFormat

    def __new__(cls, value: float, number: NumberFormat) -> _Formatted:
        self = super().__new__(cls, value)
        self.number = number
        return self

    def __str__(self) -> str:
        return self.number.write(float(self))


class _TextFile(ABC):
    """What both styles share: a text file read once, number formats, constants."""

    style = ""

    def __init__(
        self, path: _Path, formats: _Formats, constants: Mapping[str, Any] | None, encoding: str
    ) -> None:
        file = Path(path).absolute()
        self.path = str(file)
        self.source, mode = _read(file)
        #: The owner may always write, or a point could not be run twice in a folder.
        self.mode = mode | stat.S_IWUSR
        self.encoding = encoding
        self._bom, self._codec = _codec(self.source, encoding, self.path)
        self._default, self._formats = _number_formats(formats, self.path)
        self.constants = _plain(constants, self.path)

    def _text(self) -> str:
        """Return the text without its byte order mark, line ends untouched."""
        return self.source[len(self._bom) :].decode(self._codec)

    def _format_of(self, *names: str) -> NumberFormat:
        """Return the format of the first of `names` that has one of its own."""
        return next((self._formats[name] for name in names if name in self._formats), self._default)

    def _check_formats(self, known: Collection[str]) -> None:
        for name in self._formats:
            if name not in known:
                msg = f"formats of {self.path}: {name!r} is none of {_quoted(known)}"
                raise InputError(msg + _hint(name, known))

    @abstractmethod
    def _bind(self, inputs: Sequence[str], tokens: _Tokens) -> BoundTemplate:
        """Bind to inputs whose names were checked."""

    @abstractmethod
    def _near(self, name: str, token: str) -> str:
        """Return what in the file looks like an input that is not used."""

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the template, without paths.

        Returns
        -------
        fingerprint : dict of str
            Style, hash of the content, formats, constants, encoding, and what the style adds. A
            format that is a function is told by its name only.
        """
        formats = {name: number.name for name, number in self._formats.items()}
        return {
            "style": self.style,
            "content": hashlib.blake2b(self.source, digest_size=16).hexdigest(),
            "formats": json.dumps([self._default.name, formats], sort_keys=True),
            "constants": json.dumps(self.constants, sort_keys=True),
            "encoding": self.encoding,
        }


class Template(_TextFile):
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

    def __init__(
        self,
        path: _Path,
        tokens: _Tokens = None,
        *,
        formats: _Formats = None,
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
        self._constant_texts = {token: self._constant(token) for token in self.constants}
        if tokens is not None:
            _check_tokens(tokens, self.constants)
            appear = {token for _, _, token in self._found(tokens)}
            if absent := [token for token in tokens if token not in appear]:
                near = "".join(self._near("", token) for token in absent)
                raise InputError(f"{_listed('token', absent)} not in {self.path}.{near}")

    def bind(self, inputs: Sequence[str], tokens: _Tokens = None) -> BoundTemplate:
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
        bound = self._bind(_names(inputs), tokens)
        if self.tokens is None and tokens is None and not bound.inputs_used:
            raise _unused({self.path: self}, inputs, {f"@{name}": name for name in inputs})
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

    def _bind(self, inputs: Sequence[str], tokens: _Tokens) -> BoundTemplate:
        given = tokens if self.tokens is None else self.tokens
        table = _token_table(inputs, given, self.constants)
        self._check_formats([*table, *inputs, *self.constants])
        bound = _BoundTokens(self, inputs, table)
        if given is None:
            self._check_ends(table)
        return bound

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
        if absent := [token for token in self.constants if token not in appear]:
            near = "".join(self._near("", token) for token in absent)
            raise InputError(f"{_listed('constant', absent)} not in {self.path}.{near}")
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
                    f"line {_line(text, match.start())}: {match.group()!r}{_hint(match.group(), names)}"
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
                where = f"line {_line(text, end)} of {self.path}"
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
            return f" There is {written!r} in line {_line(text, text.index(written))} of {self.path}."
        head = (re.match(r"\W*", token) or [""])[0]
        # With and without a closing character, as in @F@ and @F.
        words = re.findall(f"(({re.escape(head)}[^\\W\\d]\\w*)[^\\w\\s]?)", text)[:100_000]
        folded = {word.casefold(): word for pair in words for word in pair}
        near = difflib.get_close_matches(token.casefold(), folded, 1, 0.6)
        if not near:
            return ""
        return f" Near {token!r}: {folded[near[0]]!r} in line {_line(text, text.index(folded[near[0]]))}."


class Jinja(_TextFile):
    """An input file in the language of Jinja2, for loops, conditions and formulas.

    The variables are the names of the inputs (floats) and the constants; ``math`` is Python's
    module: ``{{ math.sqrt(F) }}``. A float is written by its format, by default the shortest text that
    reads back; ``{{ F | fmt(".6e") }}`` says otherwise. An undefined variable, nothing (``None``) and
    a function that is not called are errors, not text. Nothing is escaped, the environment is
    sandboxed, and the template cannot include others.

    Parameters
    ----------
    path : str or path-like
        The template. It is read now and not needed later. Its line ends are kept; they must be
        all of one kind.
    formats : str, callable or dict, optional
        One :class:`~otwrap.formats.NumberFormat` for all floats that are printed, or one by name.
    constants : dict, optional
        Name -> text, number, list or dict: variables that do not vary. Each must be used.
    encoding : str, optional
        Of the template and of what is written; default is UTF-8.
    delimiters : dict, optional
        Start and end of ``"variable"``, ``"block"`` and ``"comment"``, for files in which ``{{`` means
        something else: ``{"variable": ("<<", ">>")}``.

    Attributes
    ----------
    path, source, mode
        As in :class:`Template`.

    Raises
    ------
    InputError
        If the file cannot be read, or is not valid in Jinja2.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from otwrap.template import Jinja
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "beam.tmpl")
    >>> _ = path.write_text("{% for i in range(3) %}{{ F * i }} {% endfor %}{{ F|fmt('.2e') }}")
    >>> Jinja(path).bind(["F"]).render([0.1])
    b'0.0 0.1 0.2 1.00e-01'
    >>> folder.cleanup()
    """

    style = "jinja"

    def __init__(
        self,
        path: _Path,
        *,
        formats: _Formats = None,
        constants: Mapping[str, Any] | None = None,
        encoding: str = "utf-8",
        delimiters: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(path, formats, constants, encoding)
        self.delimiters = _delimiters(delimiters)
        ends = sorted(set(re.findall(r"\r\n|\r|\n", self._text())))
        if len(ends) > 1:
            raise InputError(
                f"{self.path} has line ends of several kinds ({ends}), and Jinja2 would make them one"
            )
        self._line_end = ends[0] if ends else "\n"
        self._variables = self._parse()
        for name in self.constants:
            if name not in self._variables:
                raise InputError(f"constant {name!r} not used in {self.path}." + _hint(name, self._variables))

    def bind(self, inputs: Sequence[str], tokens: _Tokens = None) -> BoundTemplate:
        """Check the variables against the inputs.

        Parameters
        ----------
        inputs : sequence of str
            The names of the components of a point.
        tokens : sequence of str or dict, optional
            For templates with tokens; not used here.

        Returns
        -------
        bound : BoundTemplate
            Ready to be rendered.

        Raises
        ------
        InputError
            If a variable is neither an input nor a constant.
        """
        return self._bind(_names(inputs), tokens)

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the template, without paths.

        Returns
        -------
        fingerprint : dict of str
            That of every template, with the delimiters.
        """
        return {**super().fingerprint(), "delimiters": json.dumps(self.delimiters, sort_keys=True)}

    def _bind(self, inputs: Sequence[str], tokens: _Tokens) -> BoundTemplate:
        self._check_formats([*inputs, *self.constants])
        if both := [name for name in inputs if name in self.constants]:
            raise InputError(f"{_listed('name', both)} given as input and as constant of {self.path}")
        known = [*inputs, *self.constants]
        given = self._environment().globals
        for name, line in self._variables.items():
            if name not in known and name not in given:
                msg = f"line {line} of {self.path}: the variable {name!r} is no input and no constant"
                raise InputError(f"{msg}; there are {_quoted(known)}" + _hint(name, known))
        return _BoundJinja(self, inputs, set(inputs) & self._variables.keys())

    def _parse(self) -> dict[str, int]:
        """Return the variables that the template looks up, and the line of each."""
        import jinja2.meta
        import jinja2.nodes

        try:
            environment = self._environment()
            # Otherwise an input that is called like one of Jinja2's functions would go unnoticed.
            environment.globals.clear()
            tree = environment.parse(self._text())
            wanted = jinja2.meta.find_undeclared_variables(tree)
        except jinja2.TemplateSyntaxError as error:
            raise InputError(f"line {error.lineno} of {self.path}: {error.message}") from error
        if list(jinja2.meta.find_referenced_templates(tree)):
            raise InputError(
                f"{self.path} includes, imports or extends another template; write it in one file"
            )
        for call in tree.find_all(jinja2.nodes.Filter):
            if call.name == "fmt" and call.args and isinstance(call.args[0], jinja2.nodes.Const):
                _number_formats(call.args[0].value, f"line {call.lineno} of {self.path}")
        lines: dict[str, int] = {}
        for node in tree.find_all(jinja2.nodes.Name):
            if node.name in wanted:
                lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
        return lines

    def _environment(self) -> jinja2.Environment:
        """Return a sandboxed environment that never escapes and never prints what is undefined."""
        import math

        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        default = self._default

        def finalize(value: Any) -> Any:
            if isinstance(value, float):
                return str(value) if isinstance(value, _Formatted) else default.write(value)
            if isinstance(value, jinja2.Undefined):
                return value
            if value is None or callable(value):
                raise ValueError(f"{value!r} would be printed, which is neither a number nor a text")
            return value

        environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            newline_sequence=self._line_end,
            finalize=finalize,
            **{
                f"{kind}_{end}_string": text
                for kind, pair in self.delimiters.items()
                for end, text in zip(("start", "end"), pair, strict=True)
            },
        )
        environment.filters["fmt"] = lambda value, spec=None: _number_format(spec).write(value)
        # What is drawn at random would not be the same for the same point.
        del environment.filters["random"], environment.globals["lipsum"]
        environment.globals["math"] = math
        for name, value in self.constants.items():
            own = isinstance(value, float) and name in self._formats
            environment.globals[name] = _Formatted(value, self._formats[name]) if own else value
        return environment

    def _near(self, name: str, token: str) -> str:
        """Return the variable that looks like `name`."""
        return _hint(name, self._variables)


def bind_all(
    templates: Mapping[str, _Path | Template | Jinja],
    inputs: Sequence[str],
    tokens: _Tokens = None,
    *,
    used_elsewhere: Collection[str] = (),
) -> dict[str, BoundTemplate]:
    """Check all templates of a wrapper together, in both directions.

    Parameters
    ----------
    templates : dict
        The file to write, relative to the work directory -> the template it comes from; a path means
        a :class:`Template`.
    inputs : sequence of str
        The names of the components of a point.
    tokens : sequence of str or dict, optional
        As in :meth:`Template.bind`, for the templates that have none of their own.
    used_elsewhere : collection of str, optional
        Inputs that need not be in a template, for the command uses them.

    Returns
    -------
    bound : dict
        The file to write -> :class:`BoundTemplate`; empty without templates.

    Raises
    ------
    InputError
        If an input is used in no template, a token of a dict appears in none, a variable or a mark
        is left over, or a file to write is not inside the work directory.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from otwrap.template import bind_all
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "beam.tmpl")
    >>> _ = path.write_text("F=@F")
    >>> sorted(bind_all({"beam.xml": path}, ["F"])["beam.xml"].inputs_used)
    ['F']
    >>> folder.cleanup()
    """
    _check_destinations(templates)
    names = _names(inputs)
    files = {name: t if isinstance(t, _TextFile) else Template(t) for name, t in templates.items()}
    bound = {name: file._bind(names, tokens) for name, file in files.items()}
    if not files:
        return bound
    shared = {n: f for n, f in files.items() if isinstance(f, Template) and f.tokens is None}
    if tokens is not None and not shared:
        raise InputError(f"tokens={tokens!r}: no template takes them, for each has its own or is Jinja")
    used = frozenset(used_elsewhere).union(*(b.inputs_used for b in bound.values()))
    table = _token_table(names, tokens, ())
    if absent := [name for name in names if name not in used]:
        raise _unused(files, absent, table)
    if isinstance(tokens, Mapping):
        appear = {token for file in shared.values() for _, _, token in file._found(table)}
        if lost := [token for token in table if token not in appear]:
            near = "".join(file._near("", token) for file in shared.values() for token in lost)
            raise InputError(f"{_listed('token', lost)} in no template; looked in {_places(shared)}.{near}")
    return bound


def _unused(files: Mapping[str, _TextFile], absent: Sequence[str], table: Mapping[str, str]) -> InputError:
    """Return the error of inputs that no template uses."""
    tokens = {name: token for token, name in table.items()}
    literal = any(isinstance(file, Template) for file in files.values())
    named = [f"{name!r} (token {tokens.get(name, '?')!r})" if literal else repr(name) for name in absent]
    near = "".join(file._near(name, tokens.get(name, name)) for name in absent for file in files.values())
    plural = "s" * (len(absent) > 1)
    example = ", ".join(repr(f"@{name}") for name in absent)
    return InputError(
        f"no template uses the input{plural} {', '.join(named)}; looked in {_places(files)}.{near} "
        "Write the token (in Jinja, the name) where the value goes, or say what the tokens are, in the "
        f"order of the inputs: tokens=[{example}, ...]; or remove the input{plural}."
    )


def _places(files: Mapping[str, _TextFile]) -> str:
    return ", ".join(dict.fromkeys(file.path for file in files.values()))


def _names(inputs: Sequence[str]) -> list[str]:
    """Return the names of the inputs, checked."""
    if isinstance(inputs, str):
        raise InputError(f"inputs={inputs!r} is one text; give a list: [{inputs!r}]")
    names = list(inputs)
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"input {name!r} is no name; give a text")
        if names.count(name) > 1:
            raise InputError(f"the input {name!r} is given {names.count(name)} times in {names}")
    return names


def _check_tokens(tokens: Sequence[str] | Mapping[str, str], constants: Collection[str]) -> None:
    """Raise if a token is none, is given twice, or is a constant too."""
    if isinstance(tokens, str):
        raise InputError(f"tokens={tokens!r} is one text; give a list: [{tokens!r}]")
    listed = list(tokens)
    for token in listed:
        if not isinstance(token, str) or not token:
            raise InputError(f"token {token!r} in {listed}: give a text that is not empty")
        if listed.count(token) > 1:
            raise InputError(f"the token {token!r} is given {listed.count(token)} times in {listed}")
        if token in constants:
            raise InputError(f"{token!r} is given as a token and as a constant")


def _token_table(inputs: Sequence[str], tokens: _Tokens, constants: Collection[str]) -> dict[str, str]:
    """Return token -> input."""
    if tokens is None:
        tokens = [f"@{name}" for name in inputs]
    _check_tokens(tokens, constants)
    if isinstance(tokens, Mapping):
        for token, name in tokens.items():
            if name not in inputs:
                msg = f"token {token!r} is for {name!r}, which is no input; there are {_quoted(inputs)}"
                raise InputError(msg + _hint(str(name), inputs))
        return dict(tokens)
    if len(tokens) != len(inputs):
        msg = f"{len(tokens)} tokens for {len(inputs)} inputs: {list(tokens)} for {list(inputs)}"
        raise InputError(f"{msg}; give one each, or a dict token -> input")
    return dict(zip(tokens, inputs, strict=True))


def _check_destinations(names: Iterable[str]) -> None:
    """Raise unless the files to write are distinct and inside the work directory."""
    seen: dict[str, str] = {}
    for name in names:
        clean = os.path.normpath(name) if isinstance(name, str) and name else "."
        if (
            clean in (".", "..")
            or clean.startswith(f"..{os.sep}")
            or PurePath(clean).is_absolute()
            or "\0" in clean
        ):
            raise InputError(f"{name!r}: a file to write is relative to the work directory and inside it")
        if clean in seen:
            raise InputError(f"{seen[clean]!r} and {name!r} are the same file to write")
        seen[clean] = name
    for clean, name in seen.items():
        if parent := next((str(p) for p in PurePath(clean).parents if str(p) in seen), ""):
            raise InputError(f"{seen[parent]!r} is to be a file, and the folder of {name!r}")


def _read(file: Path) -> tuple[bytes, int]:
    """Return the content of a template and its permissions."""
    try:
        return file.read_bytes(), file.stat().st_mode & 0o777
    except FileNotFoundError as error:
        if not file.parent.is_dir():
            raise InputError(f"no template {file}: there is no folder {file.parent}") from error
        near = difflib.get_close_matches(file.name, [p.name for p in file.parent.iterdir()], 3, 0.5)
        hint = f"; near in that folder: {', '.join(map(repr, near))}" if near else ""
        raise InputError(f"no template {file}{hint}") from error
    except OSError as error:
        raise InputError(f"the template {file} cannot be read: {error}") from error


def _codec(source: bytes, encoding: str, path: str) -> tuple[bytes, str]:
    """Return the byte order mark, empty without one, and the codec of what follows."""
    try:
        name = codecs.lookup(encoding).name.removesuffix("-sig")
        found = (
            (mark, codec) for mark, codec in _MARKS if source.startswith(mark) and codec.startswith(name)
        )
        mark, codec = next(found, (b"", name))
        if codec in ("utf-16", "utf-32"):
            codec += "-le" if sys.byteorder == "little" else "-be"
        text = source[len(mark) :].decode(codec)
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        msg = f"{path} is not {encoding}: byte 0x{source[error.start]:02x} in line {line}"
        raise InputError(f"{msg}; give encoding='latin-1', 'utf-16' or what it is") from error
    except (LookupError, TypeError) as error:
        raise InputError(
            f"encoding={encoding!r}: {error}; accepted are names such as 'utf-8', 'latin-1'"
        ) from error
    # Encodings with a state write a text in pieces otherwise than as a whole.
    if text.encode(codec) != source[len(mark) :]:
        raise InputError(f"{path} cannot be written back in {encoding} as it is; convert it to UTF-8")
    return mark, codec


def _number_formats(formats: _Formats, path: str) -> tuple[NumberFormat, dict[str, NumberFormat]]:
    """Return the format of all, and those by name."""
    try:
        if isinstance(formats, Mapping):
            return NumberFormat(), {name: NumberFormat(spec) for name, spec in formats.items()}
        return NumberFormat(formats), {}
    except ValueError as error:
        raise InputError(f"formats of {path}: {error}") from error


@lru_cache(maxsize=128)
def _number_format(spec: str | None) -> NumberFormat:
    return NumberFormat(spec)


def _plain(constants: Mapping[str, Any] | None, path: str) -> dict[str, Any]:
    """Return a copy of the constants made of plain Python values, NumPy's numbers and arrays included."""
    try:
        content = json.dumps(dict(constants or {}), default=lambda value: value.tolist())
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"constants of {path}: {error}; give texts, numbers, lists and dicts") from error
    plain: dict[str, Any] = json.loads(content)
    return plain


def _delimiters(given: Mapping[str, tuple[str, str]] | None) -> dict[str, tuple[str, str]]:
    """Return start and end of variables, blocks and comments."""
    pairs = {"variable": ("{{", "}}"), "block": ("{%", "%}"), "comment": ("{#", "#}")}
    for kind, pair in (given or {}).items():
        if kind not in pairs or len(pair) != 2 or not all(isinstance(text, str) and text for text in pair):
            msg = f"delimiters={dict(given or {})!r}: accepted are a start and an end for {_quoted(pairs)}"
            raise InputError(msg + _hint(str(kind), pairs))
        pairs[kind] = (pair[0], pair[1])
    if len({start for start, _ in pairs.values()}) < 3:
        raise InputError(f"delimiters {pairs}: two of them start in the same way")
    return pairs


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _listed(word: str, names: Sequence[str]) -> str:
    return f"{word}{'s' * (len(names) > 1)} {_quoted(names)}"


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
