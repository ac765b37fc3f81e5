"""Jinja2, for loops, conditions and formulas."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..formats import NumberFormat
from ._checks import Tokens, checked_names, hint, listed, quoted
from ._text_file import BoundTemplate, Formats, PathLike, TextFile, number_formats

if TYPE_CHECKING:
    import jinja2

__all__ = ["Jinja"]


class Jinja(TextFile):
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
        path: PathLike,
        *,
        formats: Formats = None,
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
                raise InputError(f"constant {name!r} not used in {self.path}." + hint(name, self._variables))

    def bind(self, inputs: Sequence[str], tokens: Tokens = None) -> BoundTemplate:
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
        return self._bind(checked_names(inputs), tokens)

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the template, without paths.

        Returns
        -------
        fingerprint : dict of str
            That of every template, with the delimiters.
        """
        return {**super().fingerprint(), "delimiters": json.dumps(self.delimiters, sort_keys=True)}

    def _bind(self, inputs: Sequence[str], tokens: Tokens) -> BoundTemplate:
        self._check_formats([*inputs, *self.constants])
        if both := [name for name in inputs if name in self.constants]:
            raise InputError(f"{listed('name', both)} given as input and as constant of {self.path}")
        known = [*inputs, *self.constants]
        given = self._environment().globals
        for name, line in self._variables.items():
            if name not in known and name not in given:
                msg = f"line {line} of {self.path}: the variable {name!r} is no input and no constant"
                raise InputError(f"{msg}; there are {quoted(known)}" + hint(name, known))
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
                number_formats(call.args[0].value, f"line {call.lineno} of {self.path}")
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
        return hint(name, self._variables)


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


@lru_cache(maxsize=128)
def _number_format(spec: str | None) -> NumberFormat:
    return NumberFormat(spec)


def _delimiters(given: Mapping[str, tuple[str, str]] | None) -> dict[str, tuple[str, str]]:
    """Return start and end of variables, blocks and comments."""
    pairs = {"variable": ("{{", "}}"), "block": ("{%", "%}"), "comment": ("{#", "#}")}
    for kind, pair in (given or {}).items():
        if kind not in pairs or len(pair) != 2 or not all(isinstance(text, str) and text for text in pair):
            msg = f"delimiters={dict(given or {})!r}: accepted are a start and an end for {quoted(pairs)}"
            raise InputError(msg + hint(str(kind), pairs))
        pairs[kind] = (pair[0], pair[1])
    if len({start for start, _ in pairs.values()}) < 3:
        raise InputError(f"delimiters {pairs}: two of them start in the same way")
    return pairs
