"""`otwrap import`: runs that were made before otwrap."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

import click

from ..errors import InputError
from ..evaluator import Evaluator, evaluator_of
from ..intake import Intake, Run, array_runs, folder_runs, points_of_folders, table_runs, take_in
from ..store import Store
from ..wrapper import Wrapper
from .command import Command
from .output import echo_json, note
from .samples import found_of, model_argument

__all__ = ["import_"]

#: Reasons that are told in full.
_SHOWN = 10


@click.command("import", cls=Command)
@model_argument
@click.argument("store", metavar="STORE")
@click.option(
    "--folders",
    multiple=True,
    metavar="'PATTERN'",
    help="The folders of runs, as in ``runs/*``, in quotes. Can be repeated.",
)
@click.option(
    "--points",
    metavar="FILE.csv",
    help="The points of the folders, if they cannot be read from the input files: a column for each input, and one named folder.",
)
@click.option(
    "--ignore-times", is_flag=True, help="Take output files that are older than the input files too."
)
@click.option(
    "--table", metavar="FILE.csv", help="Runs as lines, with a column for each input and each output."
)
@click.option("--inputs", "inputs_path", metavar="FILE", help="Inputs, one row a run: .npy, a dump, or CSV.")
@click.option("--outputs", "outputs_path", metavar="FILE", help="Outputs, in the same order.")
@click.option(
    "--on-change", type=click.Choice(["refuse", "rerun"]), default="refuse",
    help="What happens if the store was made by a model that differs. Default is refuse.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be taken; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def import_(options: Any) -> int:
    """Take runs that were made before otwrap into STORE, so that they do not run again.

    Of folders, the output is read by the model's parsers, and the point from the input files by means of the
    templates: what stands around the values must be the same text. The host of such a record is `import`. The exit
    status is 1 if a run was refused.
    """
    ways = [bool(options.folders), options.table is not None, options.inputs_path is not None]
    if sum(ways) != 1 or (options.inputs_path is None) is not (options.outputs_path is None):
        raise click.UsageError(
            "give one of --folders 'PATTERN', --table FILE.csv, and --inputs FILE with --outputs FILE"
        )
    if not options.folders and (options.points or options.ignore_times):
        raise click.UsageError("--points and --ignore-times go with --folders")
    model = found_of(options.model).model
    evaluator = evaluator_of(model)
    runs = _runs(model, evaluator, options)
    with _opened(evaluator, options) as store:
        intake = take_in(store, runs, dry_run=options.dry_run)
    _told(intake, options)
    return 1 if intake.refused else 0


def _runs(model: Any, evaluator: Evaluator, options: Any) -> Iterable[Run]:
    """Return the runs that the options name."""
    inputs, outputs = evaluator.inputs, evaluator.outputs
    if options.table is not None:
        return table_runs(options.table, inputs, outputs)
    if options.inputs_path is not None:
        return array_runs(options.inputs_path, options.outputs_path, inputs, outputs)
    if not isinstance(model, Wrapper):
        raise InputError(
            "the model is a function, which has no folders of runs; give --table or --inputs and --outputs"
        )
    folders = sorted(
        {path for pattern in options.folders for path in glob.glob(pattern) if os.path.isdir(path)}
    )
    if not folders:
        raise click.UsageError(f"--folders {' '.join(options.folders)}: there is no such folder")
    points = None if options.points is None else points_of_folders(options.points, folders, inputs)
    return folder_runs(model, folders, points, ignore_times=options.ignore_times)


def _opened(evaluator: Evaluator, options: Any) -> Store:
    """Return the store with the model selected; of a dry run one that stays as it is."""
    prints = evaluator.fingerprints()
    identity = {"inputs": list(evaluator.inputs), "outputs": list(evaluator.outputs), **prints}
    there = os.path.exists(options.store)
    store = Store(options.store if there or not options.dry_run else None, readonly=options.dry_run and there)
    try:
        models = [model for _, model in store.models()]
        if options.dry_run and (not models or (options.on_change == "rerun" and identity not in models)):
            store.close()
            store = Store()
        store.select(evaluator.inputs, evaluator.outputs, prints, on_change=options.on_change)
    except BaseException:
        store.close()
        raise
    return store


def _told(intake: Intake, options: Any) -> None:
    """Print what was taken, and what was not and why."""
    if options.as_json:
        refused = [{"run": place, "reason": reason} for place, reason in intake.refused]
        echo_json(
            {**intake._asdict(), "refused": refused, "store": options.store, "dry_run": options.dry_run}
        )
        return
    taken = "to take" if options.dry_run else "taken"
    click.echo(f"{taken:<8}{intake.taken}\nknown   {intake.known}\nrefused {len(intake.refused)}")
    for place, reason in intake.refused[:_SHOWN]:
        note(f"{place}: {reason}")
    if len(intake.refused) > _SHOWN:
        more = Counter(reason.partition(":")[0] for _, reason in intake.refused[_SHOWN:])
        note(f"and {more.total()} more; --json lists them")
