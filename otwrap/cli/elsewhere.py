"""`otwrap prepare` and `otwrap collect`: runs that are made by hand, or by a batch system, elsewhere.

::

    FOLDER/README.txt       what to type
    FOLDER/design.csv       the points, one a line
    FOLDER/prepared.json    what the model was
    FOLDER/run-all.sh       runs what has not run yet
    FOLDER/point-000000/    the input of the first point, and run.sh, which leaves exit_code.txt and times.txt
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..command import script
from ..designs import csv_text, read_design
from ..errors import InputError, OtwrapError
from ..evaluation import point_key
from ..store import Store
from ..wrapper import Wrapper
from .command import Command
from .ended import evaluation_in
from .output import echo_json, note
from .samples import found_of, model_argument, points_of, sample_options

__all__ = ["collect", "prepare"]

_RUN_ALL = """\
#!/bin/sh
# Runs every point that has not run yet, N at a time: sh run-all.sh N
cd "$(dirname "$0")" || exit 1
printf '%s\\n' point-* | xargs -P "${1:-1}" -I{} sh -c 'test -f "{}/exit_code.txt" || sh "{}/run.sh" || true'
"""

_README = """\
{size} points of the model {name}, prepared by otwrap. Nothing has been run yet.

Each folder point-000000 ... holds the input of one point and run.sh, which runs the code there, keeps its
limits, and leaves exit_code.txt and times.txt. The points are the lines of design.csv, in this order.

All of them, four at a time:

    sh run-all.sh 4

One of them, for example in a task of a batch system's array (here Slurm's, from 0 to {last}):

    sh "$(printf point-%06d "$SLURM_ARRAY_TASK_ID")/run.sh"

The folder may be copied to another machine and back. Then, and as often as you like while runs are still
ending, from the folder where it was prepared:

    {collect}
"""


@click.command("prepare", cls=Command)
@model_argument
@sample_options
@click.option("--folder", required=True, metavar="DIR", help="What is made; it must be empty or not there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prepare(options: Any) -> int:
    """Write a folder for each point, with its input and a run.sh; run nothing.

    README.txt in the folder says what to type there; `collect` takes in what was run.
    """
    found = found_of(options.model)
    model = _shell_model(found.model, found.name)
    points = points_of(found, model.inputs, options).values
    target = Path(options.folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise click.UsageError(
            f"--folder {target} is there and not empty; give another one, nothing was written"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for number, point in enumerate(points):
            _write_point(model, point, number, draft)
        _write_rest(model, points, options, draft, found.name)
        draft.chmod(0o755)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    if options.as_json:
        echo_json({"folder": str(target), "points": len(points)})
    else:
        click.echo(f"{len(points)} points prepared in {target}: see {target / 'README.txt'}")
    return 0


def _shell_model(model: Any, name: str) -> Wrapper:
    """Return the model if a shell can run its code, or raise."""
    if not isinstance(model, Wrapper):
        raise InputError(
            f"{name} is no otwrap.Wrapper but a function of Python: a shell cannot run it; use `run`"
        )
    own = sorted(model.overridden & {"_run_code", "_exec", "_exec_sample"})
    if own:
        msg = (
            f"{name} has its own {', '.join(own)}, which only Python can run: it cannot be prepared for a "
            "shell. Give command=[...] instead, or use `run` where the code is"
        )
        raise InputError(msg)
    return model


def _folder(number: int) -> str:
    """Return the name of a point's folder."""
    return f"point-{number:06d}"


def _write_point(model: Wrapper, point: Sequence[float], number: int, draft: Path) -> None:
    """Write the folder of a point."""
    folder = draft / _folder(number)
    folder.mkdir()
    model.prepare(point, folder)
    run = folder / "run.sh"
    if run.exists():
        raise InputError("the model writes an input file named run.sh; `prepare` needs this name for itself")
    run.write_text(script(model.commands, model.command_values(tuple(point), number)), encoding="utf-8")
    run.chmod(0o755)


def _write_rest(
    model: Wrapper, points: Sequence[Sequence[float]], options: Any, draft: Path, name: str
) -> None:
    """Write what is not of one point."""
    (draft / "design.csv").write_text(csv_text(model.inputs, points), encoding="utf-8")
    about = {"model": name, "inputs": model.inputs, "outputs": model.outputs, "points": len(points)}
    # Only these can be taken for the output of a run that wrote none.
    stale = [file for file in model.may_be_stale if (draft / _folder(0) / file).exists()]
    text = json.dumps({**about, "there before": stale, "fingerprints": model.fingerprints()}, indent=1)
    (draft / "prepared.json").write_text(text + "\n", encoding="utf-8")
    run_all = draft / "run-all.sh"
    run_all.write_text(_RUN_ALL, encoding="utf-8")
    run_all.chmod(0o755)
    program = (
        f"otwrap collect {shlex.quote(options.model)}" if isinstance(options.model, str) else _own_program()
    )
    command = f"{program} --folder {shlex.quote(options.folder)}"
    readme = _README.format(size=len(points), last=len(points) - 1, name=name, collect=command)
    (draft / "README.txt").write_text(readme, encoding="utf-8")


def _own_program() -> str:
    """Return how `collect` is typed for a model's own file."""
    context = click.get_current_context().parent
    program = context.command_path if context else "otwrap"
    return f"{'python ' if program.endswith('.py') else ''}{program} collect"


@click.command("collect", cls=Command)
@model_argument
@click.option("--folder", required=True, metavar="DIR", help="What `prepare` made.")
@click.option(
    "--store", metavar="FILE", help="Where the evaluations go. Default is evaluations.db in the folder."
)
@click.option(
    "--on-change",
    type=click.Choice(["refuse", "rerun"]),
    default="refuse",
    help="What happens if the store was made by a model that differs. Default is refuse.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def collect(options: Any) -> int:
    """Take what was run elsewhere into a store, as often as you like.

    A point that the store knows as done is not read again, one that has not run yet is left out and counted.
    """
    found = found_of(options.model)
    model = _shell_model(found.model, found.name)
    folder = Path(options.folder)
    about = _checked(model, folder)
    points = read_design(folder / "design.csv", model.inputs).points
    path = options.store or os.fspath(folder / "evaluations.db")
    counts: Counter[str] = Counter()
    with Store(path) as store:
        store.select(model.inputs, model.outputs, model.fingerprints(), on_change=options.on_change)
        for number, point in enumerate(points):
            key = point_key(point)
            known = store.get(key)
            if known is not None and known.done:
                counts["known"] += 1
                continue
            evaluation = evaluation_in(folder / _folder(number), model, point, about["there before"])
            if evaluation is None:
                counts["not run"] += 1
                continue
            counts["done" if evaluation.done else "failed"] += 1
            # A failure that was collected before would otherwise count as one more attempt.
            if evaluation != known:
                store.put(key, evaluation)
    told = {"points": len(points), **{name: counts[name] for name in ("done", "failed", "not run", "known")}}
    if options.as_json:
        echo_json({**{name.replace(" ", "_"): count for name, count in told.items()}, "store": path})
        return 0
    click.echo("\n".join(f"{name:<8} {count}" for name, count in told.items()))
    if counts["failed"]:
        note(f"why they failed: otwrap failures {shlex.quote(path)}")
    click.echo(f"records  {path}")
    return 0


def _checked(model: Wrapper, folder: Path) -> dict[str, Any]:
    """Return what `prepare` noted about the model, or raise if it was another one."""
    try:
        about: dict[str, Any] = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OtwrapError(f"{folder} was not made by `prepare`, or is damaged: {error}") from None
    now = {"inputs": list(model.inputs), "outputs": list(model.outputs), **model.fingerprints()}
    then = {**about, **about["fingerprints"]}
    # Parsers may differ: reading the output again in a better way is no other model.
    changed = [name for name in ("inputs", "outputs", "input", "run") if now[name] != then[name]]
    if changed:
        words = {"input": "the templates or input files", "run": "the command or the version of the code"}
        msg = (
            f"{folder} was prepared by another model: what changed is "
            f"{', '.join(words.get(name, f'the {name}') for name in changed)}. Prepare it again, or "
            "collect with the model that prepared it"
        )
        raise OtwrapError(msg)
    return about
