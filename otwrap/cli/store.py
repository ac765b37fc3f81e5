"""`otwrap store show · check · repair · merge · remove`: what can be done to a store as a whole."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import click

from ..evaluation import CAUSES, STATUSES, Evaluation
from ..fields import listed
from ..integrity import check_store
from ..merging import Conflict, merge
from ..provenance import told
from ..repair import put_in_place, repair
from ..store import Store
from .command import Command
from .output import echo_json, note
from .removal import Chosen, chosen_of, remove_folders

__all__ = ["store"]

_store = click.argument("store", metavar="STORE")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("store")
def store() -> None:
    """Look after a store: who made it, whether it is whole, and what it holds."""


@store.command("show", cls=Command)
@_store
@_json
def show(options: Any) -> int:
    """Show the models that STORE has served, who ran them, and when."""
    shown = []
    with closing(Store(options.store, readonly=True)) as opened:
        for number, model in opened.models():
            opened.select_number(number)
            shown.append({"model": number, **model, "points": len(opened), "makers": opened.makers()})
    if options.as_json:
        echo_json(
            [
                {**model, "makers": [{"since": since, **maker} for since, maker in model["makers"]]}
                for model in shown
            ]
        )
        return 0
    for model in shown:
        click.echo(
            f"model {model['model']}: {', '.join(model['inputs'])} -> {listed(model['outputs'])}: {model['points']} points"
        )
        prints = [f"{name} {model[name]}" for name in ("input", "run", "parsers") if name in model]
        click.echo(f"    fingerprints: {', '.join(prints) or 'none'}")
        for since, maker in model["makers"]:
            click.echo(f"    since {_moment(since)}: {told(maker)}")
    if not shown:
        click.echo("no model has used this store yet")
    return 0


def _moment(seconds: float) -> str:
    """Return a time of the day."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


@store.command("check", cls=Command)
@_store
@_json
def check(options: Any) -> int:
    """Say how many records STORE has and what is wrong with it; change nothing.

    The exit status is 0 if nothing is wrong, and 1 otherwise.
    """
    found = check_store(options.store)
    if options.as_json:
        echo_json({"store": os.path.abspath(options.store), **found._asdict()})
    else:
        click.echo(
            f"{found.records} records of {found.points} points and {found.models} model(s) can be read"
        )
        for remark in found.remarks:
            note(f"note: {remark}")
        for problem in found.problems:
            click.echo(f"wrong: {problem}")
        if not found.problems:
            click.echo("nothing is wrong")
    return 1 if found.problems else 0


@store.command("repair", cls=Command)
@_store
@click.option(
    "--to", "target", metavar="FILE", help="The new store. Default is beside STORE: s-repaired.db for s.db."
)
@click.option(
    "--replace", is_flag=True, help="Give the new store the name of STORE, which is kept as STORE.damaged."
)
@_json
def repair_(options: Any) -> int:
    """Save all records of a damaged STORE that can be read into a new file; STORE stays as it is.

    The exit status is 0 if nothing was lost, and 1 otherwise.
    """
    if options.replace and options.target:
        raise click.UsageError("--to and --replace do not go together")
    saved = repair(options.store, options.target)
    kept = None
    path = saved.path
    if options.replace:
        kept, path = put_in_place(path, options.store), os.path.abspath(options.store)
    if options.as_json:
        echo_json({"store": path, "records": saved.records, "lost": saved.lost, "damaged": kept})
    else:
        click.echo(f"{saved.records} records saved in {path}")
        for lost in saved.lost:
            click.echo(f"lost: {lost}")
        click.echo(
            f"the damaged store is {kept}"
            if kept
            else "the damaged store is as it was; use the new one in its place"
        )
    return 1 if saved.lost else 0


@store.command("merge", cls=Command)
@_store
@click.argument("others", metavar="OTHER...", nargs=-1, required=True)
@_json
def merge_(options: Any) -> int:
    """Take the records of OTHER stores into STORE, which is made if it is not there.

    All must be of the same model. Where two stores have different outputs for a point, that is told and the newer
    one counts. The other stores stay as they are.
    """
    merged = merge(options.store, options.others)
    with closing(Store(options.store, readonly=True)) as opened:
        inputs, outputs = opened.description()
    if options.as_json:
        conflicts = [{"kept": kept._asdict(), "left": left._asdict()} for kept, left in merged.conflicts]
        echo_json({**merged._asdict(), "conflicts": conflicts})
        return 0
    click.echo(
        f"added     {merged.added}\nmended    {merged.mended}\nknown     {merged.known}\nconflicts {len(merged.conflicts)}"
    )
    for conflict in merged.conflicts[:10]:
        note(_conflict_told(inputs, outputs, conflict))
    if len(merged.conflicts) > 10:
        note(f"and {len(merged.conflicts) - 10} more conflicts; --json lists them")
    return 0


def _conflict_told(inputs: Sequence[str], outputs: Sequence[str], conflict: Conflict) -> str:
    """Return a conflict in words."""
    kept, left = conflict
    return (
        f"conflict: {_point_told(inputs, kept)}: kept {listed(outputs, kept.output, between=', ')} of {_moment(kept.start_time)} "
        f"on {kept.host or 'unknown'}, not {listed(outputs, left.output, between=', ')} of {_moment(left.start_time)} "
        f"on {left.host or 'unknown'}"
    )


def _point_told(inputs: Sequence[str], evaluation: Evaluation) -> str:
    """Return a point in words."""
    return ", ".join(f"{name}={value!r}" for name, value in zip(inputs, evaluation.point, strict=False))


@store.command("remove", cls=Command)
@_store
@click.option(
    "--id",
    "ids",
    type=int,
    multiple=True,
    metavar="ID",
    help="A record, as `failures` and `export` number it. Can be repeated.",
)
@click.option("--status", "statuses", type=click.Choice(STATUSES), multiple=True, help="Can be repeated.")
@click.option("--cause", "causes", type=click.Choice(CAUSES[1:]), multiple=True, help="Can be repeated.")
@click.option(
    "--between", "regions", type=(str, float, float), multiple=True, metavar="INPUT LOW HIGH",
    help="Points whose INPUT is in this range. Can be repeated: all hold.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="All points of the model.")
@click.option(
    "--model",
    "number",
    type=int,
    metavar="N",
    help="As `store show` numbers them. Default is the one used last.",
)
@click.option("--folders", is_flag=True, help="Remove their kept work directories too.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def remove_(options: Any) -> int:
    """Remove points from STORE: they run again when they are asked for.

    Criteria of one kind add up, those of different kinds all hold. A point goes with all its records, former
    failures included.
    """
    given = [options.ids, options.statuses, options.causes, options.regions]
    if any(given) == options.everything:
        raise click.UsageError("say what to remove: --id, --status, --cause, --between; or --all alone")
    with closing(Store(options.store, readonly=options.dry_run)) as opened:
        if options.number is None:
            opened.select_last()
        else:
            opened.select_number(options.number)
        chosen = chosen_of(opened, options)
        question = f"{len(chosen.keys)} of {len(opened)} points"
        if not options.dry_run and chosen.keys:
            if not options.yes:
                click.confirm(f"remove {question}?", abort=True, err=True)
            opened.remove(chosen.keys)
    gone = remove_folders(chosen.folders) if options.folders and not options.dry_run else []
    _removal_told(options, chosen, question, gone)
    return 0


def _removal_told(options: Any, chosen: Chosen, question: str, gone: Sequence[str]) -> None:
    """Print what was removed."""
    left = [folder for folder in chosen.folders if folder not in gone]
    if options.as_json:
        echo_json(
            {
                "points": len(chosen.keys),
                "removed": not options.dry_run,
                "folders_removed": gone,
                "folders_left": left,
            }
        )
        return
    click.echo(f"{question} {'would be' if options.dry_run else 'were'} removed")
    if gone:
        click.echo(f"{len(gone)} work directories were removed")
    for folder in left:
        note(f"kept work directory: {folder}")
    if left and not options.folders:
        note(
            f"remove them too next time with --folders, or now: rm -r {shlex.quote(left[0])}{' ...' if len(left) > 1 else ''}"
        )
