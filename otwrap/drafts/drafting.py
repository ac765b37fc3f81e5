"""Answers become files: the template of each input file, and the wrapper's file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..command import Command
from ..formats import NumberFormat
from .answers import Answers, InputAnswer, OutputAnswer, command_of
from .distributions import DistributionError, Law, law_of, suggested_law
from .grammar import GrammarError, read_number, read_values
from .marks import marked
from .names import AnswerError, check_class_name, check_name
from .nominal import Case
from .places import PlaceError, find_number
from .source import Beside, Call, wrapper_source
from .suggestions import ParserSpec, checked_spec, suggestions
from .texts import Number, Texts, read_text

__all__ = [
    "Draft",
    "Input",
    "Output",
    "class_name_for",
    "draft",
    "resolve_input",
    "resolve_inputs",
    "resolve_output",
]

_SUFFIX = ".tmpl"
_TREE = "case.tmpl"


class Input(NamedTuple):
    """An input whose places are known.

    Attributes
    ----------
    name : str
        Of the input.
    numbers : tuple of Number
        What it replaces.
    nominal : float
        The nominal value.
    format : str or None
        How it is written.
    law : Law or None
        Its distribution.
    """

    name: str
    numbers: tuple[Number, ...]
    nominal: float
    format: str | None
    law: Law | None


class Output(NamedTuple):
    """An output whose parser is known.

    Attributes
    ----------
    name : str
        Of the output.
    spec : ParserSpec
        What reads it.
    values : tuple of float
        What it reads from the nominal output.
    over : tuple of float or None
        The abscissa, if it is a curve.
    """

    name: str
    spec: ParserSpec
    values: tuple[float, ...]
    over: tuple[float, ...] | None


class Draft(NamedTuple):
    """The files to write.

    Attributes
    ----------
    name : str
        Of the wrapper's class.
    files : dict
        Name, relative to the folder of the wrapper's file -> content and permissions.
    copies : tuple of str
        Files of the case that the wrapper needs beside its own.
    inputs, outputs : tuple of Input, tuple of Output
        What it is about.
    """

    name: str
    files: dict[str, tuple[bytes, int]]
    copies: tuple[str, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]


def draft(case: Case, answers: Answers, outputs_in: Path) -> Draft:
    """Return the files that the answers lead to; nothing is written.

    Parameters
    ----------
    case : Case
        The nominal case.
    answers : Answers
        All answers.
    outputs_in : Path
        The folder with the nominal output.

    Returns
    -------
    draft : Draft

    Raises
    ------
    AnswerError
        If an answer does not fit the case.
    """
    commands = [command_of(settings) for settings in answers.command]
    for answer, word in ((answers.inputs, "input"), (answers.outputs, "output"), (commands, "command")):
        if not answer:
            raise AnswerError(f"there is no {word}; at least one is needed")
    name = check_class_name(answers.name or class_name_for(case.names[0]))
    inputs = resolve_inputs(case.texts, answers)
    outputs = tuple(_of("outputs", answer, resolve_output, outputs_in) for answer in answers.outputs)
    _check_apart(inputs)
    for one in outputs:
        check_name(one.name, [given.name for given in inputs])
    left, right, contents = marked(case.texts, {one.name: one.numbers for one in inputs})
    for command in commands:
        try:
            command.check_names([one.name for one in inputs])
        except ValueError as error:
            raise AnswerError(f"command: {error}") from None
    changed = {one.name for one in case.texts if contents[one.name] != one.data}
    arguments = {
        "inputs": [one.name for one in inputs],
        "outputs": [one.name for one in outputs],
        **_fields(outputs),
        **_templates(case, inputs, changed, rf"{re.escape(left)}\w+{re.escape(right)}"),
        "tokens": [f"{left}{one.name}{right}" for one in inputs],
        "command": _chain(case, commands, answers.command),
        "parsers": [_parser(one.spec) for one in outputs],
        "nominal": [one.nominal for one in inputs],
    }
    laws = [one.law for one in inputs]
    codes = [law.code for law in laws if law is not None]
    source = wrapper_source(name, codes if len(codes) == len(laws) else (), arguments)
    files = {
        f"{_TREE}/{one.name}" if case.is_tree else f"{one.name}{_SUFFIX}": (contents[one.name], one.mode)
        for one in case.texts
        if case.is_tree or one.name in changed
    }
    constant = [] if case.is_tree else [one for one in case.names if one not in changed]
    programs = [program for program in map(case.program, commands) if program]
    files["wrapper.py"] = (source.encode("utf-8"), 0o644)
    return Draft(name, files, tuple(dict.fromkeys([*constant, *programs])), inputs, outputs)


def class_name_for(file: str) -> str:
    """Return a name for the class, after an input file.

    Parameters
    ----------
    file : str
        Of the case.

    Returns
    -------
    name : str

    Examples
    --------
    >>> class_name_for("my-beam.inp"), class_name_for("0/T"), class_name_for("42.dat")
    ('MyBeam', 'T', 'Code')
    """
    words = re.findall(r"[A-Za-z0-9]+", Path(file).name.partition(".")[0])
    name = "".join(word[0].upper() + word[1:] for word in words)
    try:
        return check_class_name(name)
    except AnswerError:
        return "Code"


def resolve_input(texts: Texts, answer: InputAnswer) -> Input:
    """Return an input whose answer fits the case.

    Parameters
    ----------
    texts : Texts
        The files of the case.
    answer : InputAnswer
        What the user says of it.

    Returns
    -------
    given : Input

    Raises
    ------
    AnswerError
        If it does not fit.
    """
    name = check_name(answer.name, ())
    numbers = tuple(dict.fromkeys(find_number(texts, place) for place in answer.at))
    for number in numbers:
        where = f"{number.file}, line {number.line}"
        if answer.found is not None and number.text != answer.found:
            raise AnswerError(
                f"{where} has {number.text} where {answer.found} was found: has the file changed?"
            )
        if number.value != numbers[0].value:
            raise AnswerError(
                f"{where} has {number.text} and line {numbers[0].line} of {numbers[0].file} {numbers[0].text}: "
                "one input has one nominal value"
            )
    nominal = numbers[0].value if answer.nominal is None else read_number(str(answer.nominal))
    spec = _format(answer, numbers)
    try:
        NumberFormat(spec).write(nominal)
    except ValueError as error:
        raise AnswerError(f"format: {error}") from None
    return Input(name, numbers, nominal, spec, _law(answer, nominal))


def resolve_inputs(texts: Texts, answers: Answers) -> tuple[Input, ...]:
    """Return all inputs, whose answers fit the case.

    Parameters
    ----------
    texts : Texts
        The files of the case.
    answers : Answers
        What the user says.

    Returns
    -------
    inputs : tuple of Input

    Raises
    ------
    AnswerError
        If one does not fit.
    """
    return tuple(_of("inputs", answer, resolve_input, texts) for answer in answers.inputs)


def _format(answer: InputAnswer, numbers: Sequence[Number]) -> str | None:
    """Return how the numbers of an input are written."""
    if answer.whole:
        if answer.format is not None:
            raise AnswerError(f"format is {answer.format!r} and whole is true; give one of them")
        return "d"
    if answer.format is None and any(re.search("[dDqQ]", number.text) for number in numbers):
        return "D"
    return answer.format


def _law(answer: InputAnswer, nominal: float) -> Law | None:
    """Return the distribution of an input."""
    whole = answer.whole or (answer.format or "").endswith("d")
    if answer.distribution is None:
        law = suggested_law(nominal, whole)
        if law is None:
            raise AnswerError("10 % of 0 are nothing: give a distribution, as 'uniform -1 1', or 'none'")
        return law
    law = law_of(answer.distribution)
    if law is not None and whole and not (law.discrete and all(value.is_integer() for value in law.values)):
        raise AnswerError(
            f"distribution is {answer.distribution!r}, and only whole numbers are written: give them, "
            f"as '{(suggested_law(nominal, True) or Law('values', (0.0, 1.0))).text}'"
        )
    return law


def resolve_output(folder: Path, answer: OutputAnswer) -> Output:
    """Return an output whose answer fits the nominal output.

    Parameters
    ----------
    folder : Path
        Where the output files are.
    answer : OutputAnswer
        What the user says of it.

    Returns
    -------
    output : Output

    Raises
    ------
    AnswerError
        If it does not fit.
    """
    name = check_name(answer.name, ())
    over = None if answer.over is None else tuple(read_values(answer.over))
    parser, settings = answer.parser or "", answer.settings
    if answer.at is not None:
        parser, settings = _found_spec(folder, answer, answer.at)
    spec, values = checked_spec(parser, settings, folder, 1 if over is None else len(over))
    return Output(name, spec, values, over)


def _found_spec(folder: Path, answer: OutputAnswer, at: str) -> tuple[str, dict[str, Any]]:
    """Return the parser for the place of a number."""
    settings = dict(answer.settings)
    file = settings.pop("file", None)
    if not isinstance(file, str) or not (folder / file).is_file():
        there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        raise AnswerError(f"file is {file!r}; give an output file: {', '.join(map(repr, there[:20]))}")
    text = read_text(folder, file)
    number = find_number(Texts([text]), at)
    found = suggestions(text, number)
    specs = [spec for spec in found if answer.parser in (None, spec.name)]
    if not specs:
        names = ", ".join(dict.fromkeys(spec.name for spec in found)) or "none"
        raise AnswerError(
            f"{answer.parser or 'no parser'} reads {number.text} in line {number.line} of {file}; what does: "
            f"{names}. Others of otwrap.parsers are named with their arguments, without 'at'"
        )
    return specs[0].name, {**specs[0].settings, **settings}


def _of(key: str, answer: Any, resolve: Callable[[Any, Any], Any], where: Any) -> Any:
    """Resolve an answer; an error says of which one."""
    try:
        return resolve(where, answer)
    except (AnswerError, PlaceError, DistributionError, GrammarError) as error:
        raise AnswerError(f"{key}.{answer.name}: {error}") from None


def _check_apart(inputs: Sequence[Input]) -> None:
    """Raise if two inputs replace one number."""
    taken: dict[Number, str] = {}
    for given in inputs:
        for number in given.numbers:
            if number in taken:
                raise AnswerError(
                    f"inputs.{given.name}: {number.text} in line {number.line} of {number.file} is "
                    f"{taken[number]!r} already"
                )
            taken[number] = given.name


def _templates(case: Case, inputs: Sequence[Input], changed: set[str], mark: str) -> dict[str, Any]:
    """Return the arguments of the wrapper about the files that the code reads."""
    formats = {one.name: one.format for one in inputs if one.format is not None}
    given = {**({"formats": formats} if formats else {}), "mark": mark}
    if case.is_tree:
        return {"templates": Call("otw.Tree", (Beside(_TREE),), given)}
    found = {}
    for text in case.texts:
        if text.name in changed:
            used = [one.name for one in inputs if any(number.file == text.name for number in one.numbers)]
            own = {name: spec for name, spec in formats.items() if name in used}
            settings = {**({"formats": own} if own else {}), "mark": mark}
            if text.encoding != "utf-8":
                settings["encoding"] = text.encoding
            found[text.name] = Call("otw.Template", (Beside(text.name + _SUFFIX),), settings)
    files = [Beside(name) for name in case.names if name not in changed]
    return {"templates": found, **({"files": files} if files else {})}


def _fields(outputs: Sequence[Output]) -> dict[str, Any]:
    """Return the argument of the wrapper about the outputs that are curves."""
    meshes = {one.name: _mesh(one.over) for one in outputs if one.over is not None}
    return {"fields": meshes} if meshes else {}


def _mesh(over: tuple[float, ...]) -> Call:
    """Return the abscissa of a curve as it is written into the wrapper's file."""
    start, step = over[0], (over[-1] - over[0]) / max(len(over) - 1, 1)
    step = float(f"{step:.15g}")
    even = all(abs(start + i * step - value) <= 1e-9 * abs(step) for i, value in enumerate(over))
    if even and step > 0.0:
        return Call("ot.RegularGrid", (start, step, len(over)), {})
    return Call("ot.Mesh", ([[value] for value in over],), {})


def _chain(case: Case, commands: Sequence[Command], answers: Sequence[Mapping[str, Any]]) -> Any:
    """Return the commands as they are written into the wrapper's file."""
    chain: list[Any] = []
    for command, answer in zip(commands, answers, strict=True):
        argv: Any = command.argv[0] if command.shell else list(command.argv)
        if program := case.program(command):
            argv[0] = Beside(program)
        settings = {name: value for name, value in answer.items() if name != "argv"}
        chain.append(Call("otw.Command", (argv,), settings) if settings else argv)
    return chain[0] if len(chain) == 1 else chain


def _parser(spec: ParserSpec) -> Call:
    """Return the parser as it is written into the wrapper's file."""
    settings = dict(spec.settings)
    first = (settings.pop("file"),) if "file" in settings else ()
    return Call(f"otw.parsers.{spec.name}", first, settings)
