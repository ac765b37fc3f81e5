"""The answers, asked one after the other; a wrong one is asked again, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..errors import OtwrapError
from .answers import Answers, InputAnswer, OutputAnswer, command_of, toml_table
from .distributions import KINDS, suggested_law
from .drafting import class_name_for, resolve_input, resolve_output
from .listing import listing, row_of
from .names import AnswerError, check_class_name, check_name
from .places import find_number, find_numbers, place_of
from .suggestions import ParserSpec, suggestions
from .texts import Number, Texts, read_text

__all__ = ["Talk", "ask_inputs", "ask_outputs"]

T = TypeVar("T")

_HOW = (
    'A number is told by its index (12), its line (line 70) or the text before it ("*ELASTIC"); '
    "list shows them again."
)
_MANY = 20


class Talk(Protocol):
    """Who answers."""

    def ask(self, question: str, default: str = "") -> str:
        """Return the answer to a question.

        Parameters
        ----------
        question : str
            Without a mark at its end.
        default : str, optional
            What an empty answer means. Default is an empty answer.

        Returns
        -------
        answer : str
        """

    def say(self, lines: Sequence[str]) -> None:
        """Show some lines.

        Parameters
        ----------
        lines : sequence of str
            Without their ends.
        """


def ask_inputs(talk: Talk, texts: Texts, answers: Answers) -> Answers:
    """Ask for the inputs, the command and the name of the wrapper.

    Parameters
    ----------
    talk : Talk
        Who answers.
    texts : Texts
        The files of the case.
    answers : Answers
        What is known already, and not asked.

    Returns
    -------
    answers : Answers
    """
    _show(talk, texts)
    talk.say(["", _HOW])
    inputs = list(answers.inputs)
    while number := _choose(talk, texts, f"Input {len(inputs) + 1} is the number", needed=not inputs):
        inputs.append(_ask_input(talk, texts, number, [one.name for one in inputs]))
    commands = list(answers.command)
    while not answers.command:
        question = (
            "Command that runs the code" if not commands else "Command after it (empty if there is none)"
        )
        text = talk.ask(question)
        if not text and commands:
            break
        if _tried(talk, command_of, {"argv": text}):
            commands.append({"argv": text})
    default = class_name_for(next(iter(texts)).name)
    name = answers.name or _until(talk, "Name of the wrapper", check_class_name, default)
    return replace(answers, name=name, inputs=tuple(inputs), command=tuple(commands))


def ask_outputs(talk: Talk, folder: Path, files: Sequence[str], answers: Answers) -> Answers:
    """Ask for the outputs.

    Parameters
    ----------
    talk : Talk
        Who answers.
    folder : Path
        Where the output files are.
    files : sequence of str
        Their names.
    answers : Answers
        What is known already.

    Returns
    -------
    answers : Answers
    """
    outputs = list(answers.outputs)
    if not files:
        raise AnswerError("the code wrote no file that is not empty; there is no output to choose from")
    rows = [f"{i:4}  {name}, {(folder / name).stat().st_size} bytes" for i, name in enumerate(files, 1)]
    talk.say(["", "Output files:", *rows])
    while file := _choose_file(talk, files, len(outputs) + 1, needed=not outputs):
        answer = _ask_output(talk, folder, file)
        if answer is not None:
            taken = [one.name for one in answers.inputs] + [one.name for one in outputs]
            name = _until(talk, "Its name", partial(check_name, taken=taken))
            outputs.append(replace(answer, name=name))
    return replace(answers, outputs=tuple(outputs))


def _show(talk: Talk, texts: Texts) -> None:
    for text in texts:
        talk.say(["", *listing(text, texts.first(text.name))])


def _choose(talk: Talk, texts: Texts, question: str, needed: bool) -> Number | None:
    """Ask for a number, until there is one or the user has no more."""
    while True:
        answer = talk.ask(question if needed else f"{question} (empty if there are no more)").strip()
        if not answer and not needed:
            return None
        if answer == "list":
            _show(talk, texts)
            continue
        numbers = _tried(talk, find_numbers, texts, answer) or []
        if len(numbers) == 1:
            talk.say([_row(texts, numbers[0])])
            return numbers[0]
        talk.say([_row(texts, number) for number in numbers[:_MANY]])


def _ask_input(talk: Talk, texts: Texts, number: Number, taken: Sequence[str]) -> InputAnswer:
    """Ask what is to be known about an input."""
    numbers = [number, *_ask_same(talk, texts, number)]
    found = number.text if all(one.text == number.text for one in numbers) else None
    name = _until(talk, "Its name", partial(check_name, taken=taken))
    answer = InputAnswer(name, tuple(place_of(texts, one) for one in numbers), found=found)
    if number.is_whole:
        words = {"y": True, "yes": True, "n": False, "no": False}
        answer = replace(answer, whole=_until(talk, "Only whole numbers (y or n)", _one_of(words), "n"))
    law = suggested_law(number.value, answer.whole)

    def checked(text: str) -> InputAnswer:
        given = replace(answer, distribution=text)
        resolve_input(texts, given)
        return given

    kinds = ", ".join(f"{kind} {table.parameters}" for kind, table in KINDS.items())
    talk.say([f"Distributions: {kinds}, none"] if not taken else [])
    return _until(talk, "Its distribution", checked, law.text if law else "none")


def _ask_same(talk: Talk, texts: Texts, number: Number) -> list[Number]:
    """Ask which other numbers of the same value are the same input."""
    same = []
    for other in (one for text in texts for one in text if one != number and one.value == number.value):
        same.append(other)
        if len(same) > _MANY:
            # A 0 or a 1 that stands everywhere.
            return []
    if not same:
        return []
    talk.say(["The same number stands here too:", *(_row(texts, other) for other in same)])
    known = {str(texts.index(other)): other for other in same}

    def chosen(text: str) -> list[Number]:
        words = text.replace(",", " ").split()
        if words in (["all"], ["none"]):
            return same if words == ["all"] else []
        return [_one_of(known)(word) for word in words]

    return _until(talk, "Which of them are the same input (indices, all or none)", chosen, "none")


def _choose_file(talk: Talk, files: Sequence[str], n: int, needed: bool) -> str:
    """Ask for an output file; empty if there are no more."""
    known = {**{str(i): name for i, name in enumerate(files, 1)}, **{name: name for name in files}}
    known.update({} if needed else {"": ""})
    more = "" if needed else " (empty if there are no more)"
    return _until(talk, f"Output {n} stands in the file{more}", _one_of(known))


def _ask_output(talk: Talk, folder: Path, file: str) -> OutputAnswer | None:
    """Ask for the number of an output and its parser; None to choose another file."""
    text = read_text(folder, file)
    texts = Texts([text])
    _show(talk, texts)
    talk.say(
        [
            "",
            f"{_HOW} Or name a parser of otwrap.parsers with its arguments: "
            'parser Binary dtype = "<f4", offset = -96',
        ]
    )
    while True:
        answer = talk.ask("The output is the number (empty for another file)").strip()
        if not answer:
            return None
        if answer == "list":
            _show(talk, texts)
        elif answer.startswith("parser "):
            named = _tried(talk, _named, answer, file)
            resolved = named and _tried(talk, resolve_output, folder, named)
            if named and resolved:
                talk.say([f"      {resolved.spec} gives {resolved.values[0]!r}"])
                return named
        elif number := _tried(talk, find_number, texts, answer):
            talk.say([_row(texts, number)])
            if spec := _ask_parser(talk, suggestions(text, number)):
                return OutputAnswer("y", parser=spec.name, settings=spec.settings)


def _ask_parser(talk: Talk, specs: list[ParserSpec]) -> ParserSpec | None:
    """Ask which of the parsers that read the number is taken."""
    if not specs:
        talk.say(["No parser reads that number; name one, or choose another number."])
        return None
    shown = specs[:6]
    talk.say(["It can be read by", *(f"{i:4}  {spec}" for i, spec in enumerate(shown, 1))])
    known = {str(i): spec for i, spec in enumerate(shown, 1)}
    return _until(talk, "Which one", _one_of(known), "1")


def _named(text: str, file: str) -> OutputAnswer:
    """Return the parser that is named with its arguments, which are literals of TOML."""
    name, _, rest = text.removeprefix("parser ").strip().partition(" ")
    try:
        settings = toml_table(f"settings = {{ {rest} }}")
    except AnswerError as error:
        raise AnswerError(
            f'{text!r}: {error}; write as in: parser Value token = "y =", occurrence = 2'
        ) from None
    return OutputAnswer("y", parser=name, settings={"file": file, **settings["settings"]})


def _row(texts: Texts, number: Number) -> str:
    return row_of(texts.by_name[number.file], number, texts.index(number))


def _one_of(known: dict[str, T]) -> Callable[[str], T]:
    """Return a check that accepts some words."""

    def check(text: str) -> T:
        if text.strip() not in known:
            raise AnswerError(f"{text!r} is none of {', '.join(word for word in known if word)}")
        return known[text.strip()]

    return check


def _until(talk: Talk, question: str, check: Callable[[str], T], default: str = "") -> T:
    """Ask until the answer passes a check; return what the check returns."""
    while True:
        try:
            return check(talk.ask(question, default))
        except OtwrapError as error:
            talk.say([f"  {error}"])


def _tried(talk: Talk, action: Callable[..., T], *arguments: Any) -> T | None:
    """Return what an action returns; None if it fails, with the reason said."""
    try:
        return action(*arguments)
    except OtwrapError as error:
        talk.say([f"  {error}"])
        return None
