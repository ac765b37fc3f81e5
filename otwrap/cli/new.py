"""`otwrap new`: the wrapper of a code, from one case that works."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..doctor import examine
from ..drafts.answers import Answers, answers_text, command_of, read_answers
from ..drafts.distributions import DistributionError
from ..drafts.drafting import Draft, draft, resolve_inputs
from ..drafts.grammar import GrammarError
from ..drafts.listing import listing
from ..drafts.names import AnswerError
from ..drafts.nominal import Case, nominal_run
from ..drafts.places import PlaceError
from ..drafts.questions import ask_inputs, ask_outputs
from ..drafts.texts import Text, read_text
from ..drafts.writing import in_the_way, write_all
from ..models import find_model
from .command import Command
from .output import note, prints_on_stderr

__all__ = ["new"]

_WRAPPER = "wrapper.py"
_WRONG = (AnswerError, DistributionError, GrammarError, PlaceError)


@click.command("new", cls=Command)
@click.argument("files", nargs=-1, metavar="[INPUT]...")
@click.option(
    "--command",
    "commands",
    multiple=True,
    metavar="TEXT",
    help="What runs the code, as typed in the case; once for each command of a chain.",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="An output file of the case that is there already. Without any, the code is run in a temporary folder to "
    "see what it writes.",
)
@click.option("--case", default=".", metavar="FOLDER", help="Where the code is run by hand. Default is here.")
@click.option("--answers", metavar="FILE.toml", help="Take the answers from a file, and ask nothing.")
@click.option("--save-answers", metavar="FILE.toml", help="Write the answers to a file that --answers takes.")
@click.option("--into", metavar="FOLDER", help="Where the wrapper is written. Default is the case.")
@click.option("--name", metavar="NAME", help="Of the wrapper's class. Default comes from the first input.")
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--no-check", is_flag=True, help="Do not examine the wrapper with `otwrap check`.")
@click.option("--list", "only_list", is_flag=True, help="Show the numbers of the files, and ask nothing.")
def new(options: Any) -> int:
    """Make the wrapper of a code from one case that works.

    INPUT are the files that the code reads, or folders of them, in the folder where it is run by hand. The numbers
    found in them are listed; which of them are inputs, and which numbers of the output files are outputs, is asked,
    or taken from an answers file. Then a template of each input file and the file wrapper.py are written and
    examined: all of them, or none.

    The exit status is 0 if the wrapper is fit for a study, and 1 if the code fails or something is to be mended.
    """
    try:
        return _new(options)
    except _WRONG as error:
        raise click.UsageError(str(error)) from None


def _new(options: Any) -> int:
    answers = _given(options)
    outputs = [_in_case(file, options.case) for file in options.outputs]
    case = Case(Path(options.case), answers.input_files)
    if options.only_list:
        return _list(case, outputs)
    into = Path(options.into or options.case)
    _check_free(into, [_WRAPPER], options)
    _check_free(Path.cwd(), [options.save_answers] if options.save_answers else [], options)
    talk = None if options.answers else _Terminal()
    if talk:
        answers = ask_inputs(talk, case.texts, answers)
    with _output_files(case, answers, outputs) as (folder, written):
        if talk:
            answers = ask_outputs(talk, folder, written, answers)
        made = draft(case, answers, folder)
    files = {**made.files, **_copies(case, made, into)}
    if options.dry_run:
        _show(case, made, into)
        return 0
    _check_free(into, list(files), options)
    if talk and talk.ask(f"Write {', '.join(files)} (y or n)", "y").strip().lower() not in ("y", "yes"):
        raise KeyboardInterrupt("nothing has been written")
    if options.save_answers:
        saved = os.path.relpath(Path(options.save_answers).absolute(), into.absolute())
        files[saved] = (answers_text(answers).encode("utf-8"), 0o644)
    write_all(into, files)
    for name in files:
        click.echo(os.path.normpath(into / name))
    return 0 if options.no_check else _check(into, made)


def _given(options: Any) -> Answers:
    """Return what is known at the start: the answers file, and the command line on top."""
    answers = read_answers(options.answers) if options.answers else Answers()
    files = [_in_case(file, options.case) for file in options.files]
    commands = tuple({"argv": text} for text in options.commands)
    for command in commands:
        command_of(command)
    return replace(
        answers,
        name=options.name or answers.name,
        input_files=tuple(files) or answers.input_files,
        command=commands or answers.command,
    )


def _in_case(file: str, case: str) -> str:
    """Return a file relative to the case, if it was typed relative to the current folder."""
    return os.path.relpath(Path(file).absolute(), Path(case).absolute()) if Path(file).exists() else file


def _list(case: Case, outputs: Sequence[str]) -> int:
    """Print the numbers of the files."""
    texts = [*case.texts, *(_read(case.folder, name) for name in outputs)]
    for i, text in enumerate(texts):
        first = case.texts.first(text.name) if text.name in case.texts.by_name else 1
        click.echo("\n".join([*([""] if i else []), *listing(text, first)]))
    return 0


def _read(folder: Path, name: str) -> Text:
    try:
        return read_text(folder, name)
    except OSError as error:
        raise AnswerError(f"the output file {name!r} of {folder} cannot be read: {error.strerror}") from None


def _check_free(folder: Path, names: list[str], options: Any) -> None:
    """Raise if a file to write is there already."""
    there = in_the_way(folder, names)
    if there and not options.force and not options.dry_run:
        raise click.UsageError(
            f"{', '.join(there)}: there already in {folder}; --force replaces, --into FOLDER writes elsewhere"
        )


@contextmanager
def _output_files(case: Case, answers: Answers, outputs: Sequence[str]) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folder with the nominal output, and the files to choose from."""
    if outputs:
        for name in outputs:
            _read(case.folder, name)
        yield case.folder, list(outputs)
        return
    values = {one.name: one.numbers[0].text for one in resolve_inputs(case.texts, answers)}
    if not answers.command:
        raise AnswerError("there is no command; give it with --command, or in the answers")
    commands = [command_of(settings) for settings in answers.command]
    _let_interrupt()
    with nominal_run(case, commands, values) as found:
        yield found


def _copies(case: Case, made: Draft, into: Path) -> dict[str, tuple[bytes, int]]:
    """Return the files of the case that are to stand beside the wrapper too."""
    if into.exists() and into.samefile(case.folder):
        return {}
    paths = {name: case.folder / name for name in made.copies}
    return {name: (path.read_bytes(), path.stat().st_mode & 0o777) for name, path in paths.items()}


def _show(case: Case, made: Draft, into: Path) -> None:
    """Print what would be written."""
    for name, (data, _) in made.files.items():
        click.echo(f"--- {os.path.normpath(into / name)}")
        if name == _WRAPPER:
            click.echo(data.decode("utf-8"), nl=False)
            continue
        text = case.texts.by_name[
            name.removeprefix("case.tmpl/") if case.is_tree else name.removesuffix(".tmpl")
        ]
        lines = zip(text.data.splitlines(), data.splitlines(), strict=True)
        changed = [(i, line) for i, (before, line) in enumerate(lines, 1) if before != line]
        for i, line in changed:
            click.echo(f"{i:4}  {line.decode(text.encoding, 'replace')}")
        if not changed:
            click.echo("      as it is")
    for name in _copies(case, made, into):
        click.echo(f"--- {os.path.normpath(into / name)}\n      as it is")


def _check(into: Path, made: Draft) -> int:
    """Examine what was written, compare it with the nominal output, and say what comes next."""
    path = into / _WRAPPER
    _let_interrupt()
    with prints_on_stderr():
        model = find_model(f"{path}:{made.name}").model
        report = examine(model)
        again = model.evaluate(model.nominal).output if report.ok else None
    click.echo(f"\n{report}")
    if again is None:
        return 1
    click.echo(_compared(made, again))
    values = " ".join(repr(one.nominal) for one in made.inputs)
    click.echo(f"\nNext: edit {path}, where its comments say so; then\n\n    otwrap run {path} -X {values}")
    if all(one.law is not None for one in made.inputs):
        click.echo(f"    otwrap run {path} --monte-carlo 100 --store {made.name.lower()}.sqlite")
    return 0


def _compared(made: Draft, again: Sequence[float]) -> str:
    """Return what the wrapper gives at its nominal point, beside the nominal case."""
    waiting = list(again)
    lines = []
    for output in made.outputs:
        values, waiting = tuple(waiting[: len(output.values)]), waiting[len(output.values) :]
        shown = repr(values[0]) if output.over is None else f"{len(values)} values"
        differs = "as in the nominal case"
        if values != output.values:
            differs = f"NOT as in the nominal case ({output.values[0]!r} there): is the code stochastic, or does a format lose digits?"
        lines.append(f"{output.name} = {shown}, {differs}")
    return "\n".join(lines)


def _let_interrupt() -> None:
    """Let Ctrl-C end what waits."""
    if hasattr(signal, "siginterrupt"):
        # Each call into OpenTURNS leaves a handler after which waiting goes on in spite of Ctrl-C.
        signal.siginterrupt(signal.SIGINT, True)


class _Terminal:
    """The user at the standard input, or what is piped into it."""

    def ask(self, question: str, default: str = "") -> str:
        """Return the answer to a question."""
        _let_interrupt()
        try:
            answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
        except click.Abort as abort:
            if isinstance(abort.__context__, EOFError):
                raise click.ClickException(
                    f"the input ended at the question {question!r}; nothing has been written"
                ) from None
            raise KeyboardInterrupt("\ninterrupted; nothing has been written") from None
        return answer

    def say(self, lines: Sequence[str]) -> None:
        """Show some lines."""
        if lines:
            note("\n".join(lines))
