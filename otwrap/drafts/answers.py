"""What a user says of a draft: read from a TOML file, checked, and written to one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

from ..command import Command
from ..parsers._words import hint, some
from .names import AnswerError, check_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "Answers",
    "InputAnswer",
    "OutputAnswer",
    "answers_text",
    "command_of",
    "read_answers",
    "toml_table",
]

_TOP = ("name", "input_files", "command", "inputs", "outputs")
_OF_AN_INPUT = ("at", "found", "nominal", "whole", "format", "distribution")


@dataclass(frozen=True)
class InputAnswer:
    """An input.

    Parameters
    ----------
    name : str
        Of the input.
    at : tuple of str
        Where its numbers stand, see :mod:`otwrap.drafts.places`.
    found : str, optional
        What must stand there. Default is not checked.
    nominal : float or str, optional
        The nominal value. Default is what stands there.
    whole : bool, optional
        Whether the code needs a whole number, without a point. Default is false.
    format : str, optional
        A number format, see :class:`otwrap.formats.NumberFormat`. Default keeps every digit, with Fortran's
        exponent where the file has one.
    distribution : str, optional
        See :mod:`otwrap.drafts.distributions`. Default is 10 % to both sides.
    """

    name: str
    at: tuple[str, ...]
    found: str | None = None
    nominal: float | str | None = None
    whole: bool = False
    format: str | None = None
    distribution: str | None = None


@dataclass(frozen=True)
class OutputAnswer:
    """An output.

    Parameters
    ----------
    name : str
        Of the output.
    at : str, optional
        Where its number stands in the file: a parser is then found for it.
    parser : str, optional
        A class of :mod:`otwrap.parsers`. With `at`, the one to choose where several would do.
    settings : dict, optional
        The arguments of the parser, by name; the file among them.
    over : str, optional
        For a curve, the values of its abscissa, see :mod:`otwrap.drafts.grammar`. Default is one number.
    """

    name: str
    at: str | None = None
    parser: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    over: str | None = None


@dataclass(frozen=True)
class Answers:
    """All answers.

    Parameters
    ----------
    name : str, optional
        Of the wrapper's class. Default comes from the first input file.
    input_files : tuple of str, optional
        What the code reads, relative to the case; a folder stands for all that it holds.
    command : tuple of dict, optional
        The settings of each :class:`otwrap.Command` of the chain.
    inputs : tuple of InputAnswer, optional
        In the order of the input description.
    outputs : tuple of OutputAnswer, optional
        In the order of the output description.
    """

    name: str | None = None
    input_files: tuple[str, ...] = ()
    command: tuple[dict[str, Any], ...] = ()
    inputs: tuple[InputAnswer, ...] = ()
    outputs: tuple[OutputAnswer, ...] = ()


def read_answers(path: str | Path) -> Answers:
    """Read an answers file.

    Parameters
    ----------
    path : path
        TOML in UTF-8.

    Returns
    -------
    answers : Answers
        Their form is checked, and not yet what they say of the case.

    Raises
    ------
    AnswerError
        If it is no TOML, a key is unknown, or a value is of another type.
    """
    try:
        return _answers(toml_table(Path(path).read_bytes().decode("utf-8")))
    except OSError as error:
        raise AnswerError(f"the answers {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise AnswerError(f"{path} is no text in UTF-8: {error}") from None
    except AnswerError as error:
        raise AnswerError(f"{path}: {error}") from None


def toml_table(text: str) -> dict[str, Any]:
    """Return what a text in TOML says.

    Parameters
    ----------
    text : str
        Names and literals; nothing in it is evaluated.

    Returns
    -------
    table : dict

    Raises
    ------
    AnswerError
        If it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise AnswerError(f"this is no TOML: {error}") from None


def _answers(content: Mapping[str, Any]) -> Answers:
    """Return the answers in a parsed file."""
    _check_keys("the file", content, _TOP)
    files = content.get("input_files", [])
    return Answers(
        name=_typed("name", content.get("name"), str),
        input_files=tuple(_texts("input_files", files)),
        command=_commands(content.get("command", [])),
        inputs=tuple(_input(name, table) for name, table in _tables("inputs", content)),
        outputs=tuple(_output(name, table) for name, table in _tables("outputs", content)),
    )


def _input(name: str, table: Mapping[str, Any]) -> InputAnswer:
    where = f"inputs.{name}"
    _check_keys(where, table, _OF_AN_INPUT)
    if "at" not in table:
        raise AnswerError(f"{where} has no 'at': say where its number stands, as at = 'line 3 number 2'")
    nominal = table.get("nominal")
    if nominal is not None and (isinstance(nominal, bool) or not isinstance(nominal, (int, float, str))):
        raise AnswerError(f"{where}.nominal is {nominal!r}; give a number")
    return InputAnswer(
        name,
        tuple(_texts(f"{where}.at", table["at"])),
        found=_typed(f"{where}.found", table.get("found"), str),
        nominal=nominal,
        whole=_typed(f"{where}.whole", table.get("whole"), bool) or False,
        format=_typed(f"{where}.format", table.get("format"), str),
        distribution=_typed(f"{where}.distribution", table.get("distribution"), str),
    )


def _output(name: str, table: Mapping[str, Any]) -> OutputAnswer:
    where = f"outputs.{name}"
    settings = dict(table)
    at = _typed(f"{where}.at", settings.pop("at", None), str)
    parser = _typed(f"{where}.parser", settings.pop("parser", None), str)
    over = _typed(f"{where}.over", settings.pop("over", None), str)
    if at is None and parser is None:
        raise AnswerError(
            f"{where}: say where its number stands (file = 'out.txt', at = 'line 3 number 2'), or which parser "
            "of otwrap.parsers reads it, with its arguments (parser = 'Value', file = 'out.txt', token = 'y =')"
        )
    return OutputAnswer(name, at, parser, settings, over)


def _commands(command: Any) -> tuple[dict[str, Any], ...]:
    """Return the settings of each command of a chain."""
    parts = [command] if isinstance(command, (str, Mapping)) else command
    if not isinstance(parts, list):
        raise AnswerError(f"command is {command!r}; give a text, a list of texts, or tables [[command]]")
    if parts and all(isinstance(part, str) for part in parts) and parts is command:
        raise AnswerError(
            f"command is {command!r}: is it one command or a chain? Write one as a text, or as "
            "[command] with argv = [...], and each one of a chain as [[command]] with argv = ..."
        )
    return tuple(_command(part) for part in parts)


def _command(part: Any) -> dict[str, Any]:
    table = {"argv": part} if isinstance(part, str) else part
    if not isinstance(table, Mapping):
        raise AnswerError(f"command is {part!r}; give a text, or a table with argv")
    accepted = list(signature(Command).parameters)
    _check_keys("command", table, accepted)
    settings = {
        name: _pairs(value) if name in ("success", "failure") else value for name, value in table.items()
    }
    command_of(settings)
    return settings


def command_of(settings: Mapping[str, Any]) -> Command:
    """Return the command of some settings.

    Parameters
    ----------
    settings : mapping
        The arguments of :class:`otwrap.Command` by name.

    Returns
    -------
    command : Command

    Raises
    ------
    AnswerError
        If a setting means nothing.

    Examples
    --------
    >>> command_of({"argv": "ccx -i beam"}).argv
    ('ccx', '-i', 'beam')
    """
    try:
        return Command(**settings)
    except (TypeError, ValueError) as error:
        advice = "; give each command of a chain on its own" if "is for a shell" in str(error) else ""
        raise AnswerError(f"command: {error}{advice}") from None


def _pairs(patterns: Any) -> Any:
    """Return patterns with a file as pairs."""
    if not isinstance(patterns, list):
        return patterns
    return [tuple(part) if isinstance(part, list) else part for part in patterns]


def _tables(key: str, content: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the tables of the inputs or of the outputs, by checked names."""
    tables = content.get(key, {})
    if not isinstance(tables, Mapping):
        raise AnswerError(f"{key} is {tables!r}; write a table for each, as [{key}.E]")
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name, table in tables.items():
        check_name(name, [other for other, _ in found])
        if not isinstance(table, Mapping):
            raise AnswerError(f"{key}.{name} is {table!r}; write a table [{key}.{name}]")
        found.append((name, table))
    return found


def _check_keys(where: str, table: Mapping[str, Any], accepted: Sequence[str]) -> None:
    for key in table:
        if key not in accepted:
            raise AnswerError(f"{where} has {key!r}{hint(key, accepted)}; accepted are {some(accepted, 20)}")


def _typed(where: str, value: Any, kind: type) -> Any:
    if value is not None and not isinstance(value, kind):
        words = {str: "a text in quotes", bool: "true or false"}
        raise AnswerError(f"{where} is {value!r}; give {words[kind]}")
    return value


def _texts(where: str, value: Any) -> list[str]:
    """Return one text or several."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        if texts == [] and where == "input_files":
            return []
        raise AnswerError(f"{where} is {value!r}; give a text or a list of texts")
    return texts


def answers_text(answers: Answers) -> str:
    """Return the answers as a file that :func:`read_answers` reads.

    Parameters
    ----------
    answers : Answers
        All answers.

    Returns
    -------
    text : str
        TOML.

    Examples
    --------
    >>> print(answers_text(Answers("Beam", ("beam.inp",), ({"argv": "ccx -i beam"},))), end="")
    # Answers for `otwrap new --answers FILE`.
    name = "Beam"
    input_files = ["beam.inp"]
    <BLANKLINE>
    [[command]]
    argv = "ccx -i beam"
    """
    lines = ["# Answers for `otwrap new --answers FILE`."]
    lines += _lines({"name": answers.name, "input_files": list(answers.input_files) or None})
    for command in answers.command:
        lines += ["", "[[command]]", *_lines(command)]
    for given in answers.inputs:
        at = given.at[0] if len(given.at) == 1 else list(given.at)
        settings = {name: getattr(given, name) for name in _OF_AN_INPUT}
        lines += ["", f"[inputs.{given.name}]", *_lines({**settings, "at": at, "whole": given.whole or None})]
    for output in answers.outputs:
        settings = {"parser": output.parser, **output.settings, "at": output.at, "over": output.over}
        lines += ["", f"[outputs.{output.name}]", *_lines(settings)]
    return "\n".join(lines) + "\n"


def _lines(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in settings.items() if value is not None]


def _toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, str):
        # TOML's escapes are those of JSON, which leaves one control character as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value).lower() if isinstance(value, bool) else repr(value)
