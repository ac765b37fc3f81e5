"""`otwrap prepare · collect · push · pull`: the folder of a submission, without its batch system."""

from __future__ import annotations

import shlex
import time
from typing import Any

import click

from ..batch import check_target
from ..errors import InputError, SchedulerError
from ..evaluator import evaluator_of
from ..remote import Place, Transfer, push
from ..schedulers import seconds_of_time
from ..submission import Submission, prepare
from .command import Command
from .output import echo_json, note
from .samples import found_of, model_argument, points_of, sample_options

__all__ = [
    "check_folder",
    "collect",
    "folder_argument",
    "json_option",
    "model_option",
    "prepare_command",
    "pull_command",
    "push_command",
    "store_option",
    "submission_of",
]

folder_argument = click.argument("folder", metavar="FOLDER")
model_option = click.option(
    "--model",
    metavar="MODEL",
    help="What reads the output where a shell ran the code. Default is the model that was submitted.",
)
store_option = click.option(
    "--store",
    metavar="FILE",
    help="Where the evaluations go. Default is where `submit` was told, else evaluations.db in FOLDER.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def check_folder(path: str | None) -> None:
    """Refuse a folder that is to be made, and is there and not empty.

    Parameters
    ----------
    path : str or None
        As typed.

    Raises
    ------
    click.UsageError
        If it is.
    """
    try:
        if path is not None:
            check_target(path)
    except InputError as error:
        raise click.UsageError(f"--folder: {error}") from None


def submission_of(options: Any) -> Submission:
    """Return the submission that a command is for.

    Parameters
    ----------
    options : object
        With `folder`, and `model` and `store` where the command has them.

    Returns
    -------
    submission : Submission
    """
    model = getattr(options, "model", None)
    found = None if model is None else found_of(model).model
    return Submission(options.folder, model=found, store=getattr(options, "store", None))


@click.command("prepare", cls=Command)
@model_argument
@sample_options
@click.option("--folder", required=True, metavar="DIR", help="What is made; it must be empty or not there.")
@json_option
def prepare_command(options: Any) -> int:
    """Write a folder for each point, with its input and a run.sh; run nothing.

    README.txt in the folder says what to type there; `collect` takes in what was run. `submit --way shell` does the
    same for a batch system.
    """
    check_folder(options.folder)
    found = found_of(options.model)
    points = points_of(found, evaluator_of(found.model).inputs, options).values
    made = prepare(found.model, points, options.folder, collect=_collecting(options), name=found.name)
    if options.as_json:
        echo_json({"folder": options.folder, "points": len(points)})
    else:
        click.echo(f"{len(points)} points prepared in {options.folder}: see {made.path / 'README.txt'}")
    return 0


def _collecting(options: Any) -> str:
    """Return how `collect` is typed for what is prepared."""
    folder = shlex.quote(options.folder)
    if isinstance(options.model, str):
        return f"otwrap collect {folder} --model {shlex.quote(options.model)}"
    context = click.get_current_context().parent
    program = context.command_path if context else "otwrap"
    return f"{'python ' if program.endswith('.py') else ''}{program} collect {folder}"


@click.command("collect", cls=Command)
@folder_argument
@model_option
@store_option
@json_option
def collect(options: Any) -> int:
    """Take what has come of a submission, or was prepared and run elsewhere, into a store.

    As often as you like: a point that the store knows as done is not read again, one that has not ended is left out
    and counted.
    """
    collected = submission_of(options).collect()
    if options.as_json:
        echo_json(collected._asdict())
        return 0
    for name in ("done", "failed", "missing", "known"):
        click.echo(f"{name:<8} {getattr(collected, name)}")
    if collected.failed:
        note(f"why they failed: otwrap failures {shlex.quote(collected.store)}")
    click.echo(f"records  {collected.store}")
    return 0


@click.command("push", cls=Command)
@folder_argument
@click.argument("place", metavar="[HOST:DIR]", required=False)
@json_option
def push_command(options: Any) -> int:
    """Send FOLDER to another machine, by ssh; once more, it sends what has changed.

    What runs have left there stays. HOST is what `ssh HOST` takes; its key must be known.
    """
    submission = Submission(options.folder)
    place = _place(submission, options.place)
    _echo_transfer(push(submission.path, place), f"to {place}", options)
    return 0


@click.command("pull", cls=Command)
@folder_argument
@click.argument("place", metavar="[HOST:DIR]", required=False)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Bring only what fits, such as 'point-*/out.txt'; may come again.",
)
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out what fits; may come again.")
@click.option("--every", metavar="TIME", help="Again and again, as every 10m, until all points have ended.")
@json_option
def pull_command(options: Any) -> int:
    """Bring what runs have left in FOLDER on another machine; once more, it brings what is new."""
    submission = Submission(options.folder)
    _place(submission, options.place)
    pause = seconds_of_time(options.every)
    while True:
        left = _brought(submission, options, patient=pause is not None)
        if pause is None or not left:
            return 0
        note(f"{left} points have not ended; the next look is in {options.every}")
        time.sleep(pause)


def _brought(submission: Submission, options: Any, *, patient: bool) -> int:
    """Bring what is new, and return how many points may still come."""
    try:
        transfer = submission.bring(only=options.only or None, exclude=options.exclude or None)
        _echo_transfer(transfer, f"from {submission.place}", options)
        left = submission.missing()
        if (
            patient
            and left
            and submission.folder.about.get("profile")
            and (status := submission.status()).is_over
        ):
            note(
                f"{status.lost + status.unsubmitted} points are lost: otwrap resubmit {shlex.quote(options.folder)}"
            )
            return 0
        return left
    except SchedulerError as error:
        if not patient:
            raise
        note(str(error))
        return submission.missing()


def _place(submission: Submission, text: str | None) -> Place:
    """Return where a submission is on another machine, and note it."""
    if text is not None:
        try:
            place = Place.parse(text)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        submission.folder.note(place=str(place))
    if submission.place is None:
        raise click.UsageError(f"{submission.path} has no place on another machine yet: give HOST:DIR")
    return submission.place


def _echo_transfer(transfer: Transfer | None, where: str, options: Any) -> None:
    """Print what was sent or brought."""
    if transfer is None:
        return
    if options.as_json:
        echo_json(transfer._asdict())
    else:
        click.echo(f"{transfer.files} files, {transfer.bytes} bytes {where}")
