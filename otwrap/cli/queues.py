"""`otwrap submit · resubmit · cancel · logs`, and the status of a submission."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import click

from ..evaluator import evaluator_of
from ..schedulers import Resources, scheduler_names
from ..submission import Status, Submission, submit
from ..submission.status import moment
from ..submission.submitting import rehearse
from .command import Command
from .elsewhere import check_folder, folder_argument, json_option, model_option, submission_of
from .output import aligned, echo_json, note
from .samples import found_of, model_argument, points_of, sample_options

__all__ = ["cancel", "logs", "resubmit", "status_of_folder", "submit_command"]

#: Words of the resources -> what they are.
_RESOURCES = {
    "time": "Time limit of a task: 90m, 2h, 1-12:00:00.",
    "cpus": "CPUs of a task.",
    "memory": "Memory of a task: 4GB.",
    "partition": "Partition or queue.",
    "account": "Account or project that pays.",
    "constraint": "What a node must have, in the scheduler's own words.",
    "nodes": "Nodes of a task.",
}


def resource_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what tasks need.

    Parameters
    ----------
    command : callable
        The callback of a command.

    Returns
    -------
    command : callable
    """
    for name, text in reversed(_RESOURCES.items()):
        kind = int if name in ("cpus", "nodes") else str
        command = click.option(f"--{name}", type=kind, metavar=name.upper(), help=text)(command)
    more = [
        click.option(
            "--setup",
            multiple=True,
            metavar="LINE",
            help="A line for the shell before the work, such as `module load beam`; may come again.",
        ),
        click.option(
            "--extra",
            multiple=True,
            metavar="LINE",
            help="A line for the scheduler, such as --mail-type=END; may come again.",
        ),
        click.option("--chunk", type=click.IntRange(min=1), metavar="N", help="Points of a task."),
        click.option(
            "--at-a-time", type=click.IntRange(min=1), metavar="N", help="Tasks that may run at a time."
        ),
    ]
    for option in reversed(more):
        command = option(command)
    return command


def _resources(options: Any) -> dict[str, Any]:
    """Return the words of the resources that were given."""
    given = {name: getattr(options, name) for name in _RESOURCES if getattr(options, name) is not None}
    given |= {name: list(getattr(options, name)) for name in ("setup", "extra") if getattr(options, name)}
    try:
        return Resources.from_dict(given).as_dict()
    except (TypeError, ValueError) as error:
        raise click.UsageError(str(error)) from None


@click.command("submit", cls=Command)
@model_argument
@sample_options
@click.option(
    "--scheduler", type=click.Choice(scheduler_names()), help="The batch system. Default is the profile's."
)
@click.option(
    "--profile", metavar="NAME", help="Settings of a site: a file, or a name that `otwrap profiles` lists."
)
@resource_options
@click.option(
    "--way",
    type=click.Choice(["worker", "shell"]),
    default="worker",
    help="Whether otwrap (default) or a shell alone runs the points on the nodes.",
)
@click.option("--folder", metavar="DIR", help="What is made. Default is a new folder in submissions.")
@click.option(
    "--store",
    metavar="FILE",
    help="Where evaluations are collected; what it knows is not submitted. Default is evaluations.db in the folder.",
)
@click.option(
    "--on-change",
    type=click.Choice(["refuse", "rerun"]),
    default="refuse",
    help="What happens if the store was made by a model that differs. Default is refuse.",
)
@click.option(
    "--collect", is_flag=True, help="Submit one more job, which collects when the others have ended."
)
@click.option("--wait", is_flag=True, help="Wait for all of it, and collect all the while.")
@click.option("--dry-run", is_flag=True, help="Print the script; write and submit nothing.")
@json_option
def submit_command(options: Any) -> int:
    """Submit points of MODEL to a batch system, and come back later.

    Then: `otwrap status FOLDER`, `otwrap collect FOLDER`, `otwrap resubmit FOLDER`.
    """
    check_folder(options.folder)
    found = found_of(options.model)
    points = points_of(found, evaluator_of(found.model).inputs, options).values
    words = {
        "scheduler": options.scheduler,
        "profile": options.profile,
        "resources": _resources(options),
        "way": options.way,
        "chunk": options.chunk,
        "at_a_time": options.at_a_time,
    }
    if options.dry_run:
        click.echo(rehearse(found.model, points, **words).rstrip("\n"))
        return 0
    submission = submit(
        found.model,
        points,
        **words,
        folder=options.folder,
        store=options.store,
        collect=options.collect,
        on_change=options.on_change,
        name=found.name,
    )
    if options.wait:
        submission.wait()
    ended = _echo(submission, options)
    return ended if options.wait else 0


@click.command("resubmit", cls=Command)
@folder_argument
@model_option
@click.option("--failed", is_flag=True, help="Points that failed, too.")
@resource_options
@json_option
def resubmit(options: Any) -> int:
    """Submit once more the points of FOLDER that were lost, or never submitted, and no other."""
    submission = submission_of(options)
    jobs = submission.resubmit(
        failed=options.failed, resources=_resources(options), chunk=options.chunk, at_a_time=options.at_a_time
    )
    points = sum(len(numbers) for job in jobs for numbers in job.tasks)
    if options.as_json:
        echo_json({"points": points, "jobs": [job.id for job in jobs]})
    else:
        click.echo(
            f"{points} points submitted"
            + (f" in {', '.join(f'job {job.id}' for job in jobs)}" if jobs else "")
        )
    return 0


@click.command("cancel", cls=Command)
@folder_argument
@click.option(
    "--point",
    "points",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="N",
    help="Only the tasks that have this point; may come again.",
)
@json_option
def cancel(options: Any) -> int:
    """Cancel the jobs of FOLDER; what has ended stays, and `resubmit` takes the rest up again."""
    tasks = submission_of(options).cancel(list(options.points) or None)
    if options.as_json:
        echo_json({"tasks": tasks})
    else:
        click.echo(f"{tasks} tasks cancelled")
    return 0


@click.command("logs", cls=Command)
@folder_argument
@click.argument("point", type=click.IntRange(min=0))
def logs(options: Any) -> int:
    """Print what the task of POINT, a number, has printed."""
    path, text = submission_of(options).log(options.point)
    note(f"{path}")
    click.echo(text, nl=False)
    return 0


def status_of_folder(options: Any) -> int:
    """Print how a submission stands.

    Parameters
    ----------
    options : object
        With `folder` and `as_json`.

    Returns
    -------
    exit_status : int
    """
    return _echo(Submission(options.store), options)


def _echo(submission: Submission, options: Any) -> int:
    """Print how a submission stands; return 1 if points were lost or failed."""
    status = submission.status()
    if options.as_json:
        lost = [{**lost._asdict()} for lost in status.lost_tasks]
        echo_json({"folder": str(submission.path), **status._asdict(), "lost_tasks": lost})
    else:
        _echo_table(status, submission)
    return 1 if status.lost or status.failed else 0


def _echo_table(status: Status, submission: Submission) -> None:
    """Print how a submission stands, as a table."""
    folder = submission.path
    scheduler = (submission.folder.about.get("profile") or {}).get("scheduler", "no batch system")
    place = f" at {submission.place}" if submission.place else ""
    click.echo(f"{folder}: {status.points} points for {scheduler}{place}")
    names = ["done", "failed", "running", "waiting", "lost"] + ["unsubmitted"] * bool(status.unsubmitted)
    end = moment(status.expected_end) if status.expected_end else "-"
    click.echo(aligned([[*names, "expected end"], [*(str(getattr(status, name)) for name in names), end]]))
    if status.jobs:
        ids = [
            f"{identifier or 'not submitted'} ({tasks} tasks, {points} points)"
            for identifier, tasks, points in status.jobs
        ]
        click.echo(f"jobs: {', '.join(ids[-5:])}{f', and {len(ids) - 5} before' if len(ids) > 5 else ''}")
    for lost in status.lost_tasks[:5]:
        click.echo(
            f"lost: {len(lost.numbers)} points of job {lost.job:03d}, task {lost.task}: {lost.reason or 'its task is gone'}; see logs {lost.numbers[0]}"
        )
    for remark in status.remarks[:5]:
        click.echo(f"note: {remark}")
    word = shlex.quote(str(folder))
    if status.lost or status.unsubmitted:
        note(f"to run what was lost: otwrap resubmit {word}")
    if status.done or status.failed:
        note(f"to have the records: otwrap collect {word}")
