"""`otwrap status · show · failures`: what a store holds, without touching it."""

from __future__ import annotations

import math
import os
import shlex
import statistics
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..evaluation import STATUSES, Evaluation
from ..evaluator import evaluator_of
from ..explanation import explain_failures
from ..fields import listed
from ..folders import SCRIPT
from ..process import tail
from ..store import Store
from .command import Command
from .output import aligned, echo_json, record_of
from .rendered import against_nominal
from .samples import found_of

__all__ = ["failures", "model_with", "opened", "show", "status", "store_argument"]

#: Files of a kept folder that are listed.
_FILES = 30

store_argument = click.argument("store", metavar="STORE")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON; nan is null.")


def opened(path: str) -> closing[Store]:
    """Open a store for reading, on the model that was used last.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    store : context manager of Store
    """
    store = Store(path, readonly=True)
    store.select_last()
    return closing(store)


@click.command("status", cls=Command)
@click.argument("store", metavar="STORE|FOLDER")
@_json
def status(options: Any) -> int:
    """Count the evaluations of STORE by status and cause, or the points of a submission's FOLDER by how they stand."""
    if os.path.isdir(options.store):
        from .queues import status_of_folder

        return status_of_folder(options)
    with opened(options.store) as store:
        evaluations = [evaluation for _, evaluation in store.items()]
        inputs, outputs = store.description()
        made_by, made_at = _maker(store)
    counts = Counter((evaluation.status, evaluation.cause) for evaluation in evaluations)
    ordered = sorted(counts.items(), key=lambda item: (STATUSES.index(item[0][0]), -item[1], item[0][1]))
    times = _times([evaluation.wall_time for evaluation in evaluations])
    hosts = dict(Counter(evaluation.host for evaluation in evaluations))
    started = [evaluation.start_time for evaluation in evaluations if evaluation.start_time]
    if options.as_json:
        echo_json(
            {
                "store": os.fspath(Path(options.store).absolute()),
                "inputs": inputs,
                "outputs": outputs,
                "points": len(evaluations),
                "counts": [{"status": s, "cause": c, "count": n} for (s, c), n in ordered],
                "wall_time": times,
                "hosts": hosts,
                "made_by": made_by,
                "made_at": made_at,
                "first_start": min(started, default=None),
                "last_start": max(started, default=None),
            }
        )
        return 0
    click.echo(f"{', '.join(inputs)} -> {listed(outputs)}: {len(evaluations)} points")
    if evaluations:
        click.echo()
        click.echo(aligned([["status", "cause", "points"], *[[s, c, n] for (s, c), n in ordered]]))
        click.echo()
        words = ", ".join(f"{name} {value:.4g} s" for name, value in times.items() if value is not None)
        click.echo(f"wall time of an evaluation: {words}")
        machines = ", ".join(f"{host or 'unknown'} ({count})" for host, count in hosts.items())
        click.echo(f"evaluated on: {machines}")
    if started:
        click.echo(f"between {_moment(min(started))} and {_moment(max(started))}")
    if made_by:
        click.echo(f"store made by {made_by}, {_moment(made_at)}")
    return 0


def _maker(store: Store) -> tuple[str, float]:
    """Return the program that made the model's entry in the store, and when."""
    row = store.maker()
    return row or ("", 0.0)


def _times(seconds: Sequence[float]) -> dict[str, float | None]:
    """Return what there is to say about times."""
    if not seconds:
        return {"mean": None, "median": None, "max": None, "total": None}
    return {
        "mean": statistics.fmean(seconds),
        "median": statistics.median(seconds),
        "max": max(seconds),
        "total": math.fsum(seconds),
    }


def _moment(seconds: float) -> str:
    """Return a time of the day."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


@click.command("show", cls=Command)
@store_argument
@click.argument("number", metavar="ID", type=int)
@click.option(
    "--model",
    metavar="MODEL",
    help="Tell the nominal point too, and how the input files differ from those of that point.",
)
@_json
def show(options: Any) -> int:
    """Show the evaluation ID of STORE, as `failures` and `export` number them."""
    with opened(options.store) as store:
        inputs, outputs = store.description()
        evaluation = store.evaluation(options.number)
    model = None if options.model is None else model_with(options.model, inputs)
    nominal = None if model is None else getattr(model, "nominal", None)
    compared = against_nominal(model, evaluation.point, f"evaluation {options.number}", evaluation.workdir)
    record, folder = record_of(inputs, outputs, evaluation), _folder(evaluation)
    if options.as_json:
        echo_json(
            {
                "id": options.number,
                **record,
                "nominal": None if nominal is None else dict(zip(inputs, nominal, strict=True)),
                "input_files": [one._asdict() for one in compared],
                "folder": folder,
            }
        )
        return 0
    lines = [f"{name} = {value!r}" for name, value in record["input"].items()]
    if nominal is not None:
        width = max(map(len, lines))
        lines = [f"{line.ljust(width)}  (nominal {x!r})" for line, x in zip(lines, nominal, strict=True)]
    click.echo("\n".join(lines))
    if evaluation.output:
        click.echo(listed(outputs, evaluation.output, between="\n"))
    click.echo()
    units = {"wall_time": " s", "cpu_time": " s", "peak_memory": " bytes"}
    for name, value in record.items():
        if name in ("input", "output", "error") or value in (None, ""):
            continue
        shown = _moment(value) if name == "start_time" else f"{value}{units.get(name, '')}"
        click.echo(f"{name:<12} {shown}")
    if record["error"]:
        click.echo(f"\n{record['error']}")
    for one in compared:
        same = "" if one.difference or one.remark else f"{one.name} is that of the nominal point"
        click.echo("\n" + "\n".join(text for text in (one.remark, one.difference, same) if text))
    _tell_folder(evaluation, folder)
    return 0


def model_with(model: Any, inputs: Sequence[str]) -> Any:
    """Return a model whose inputs are those of a store.

    Parameters
    ----------
    model : str or ModelGroup
        See :func:`otwrap.cli.samples.found_of`.
    inputs : sequence of str
        The input description of the store.

    Returns
    -------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction

    Raises
    ------
    InputError
        If the model has other inputs.
    """
    found = found_of(model)
    own = evaluator_of(found.model).inputs
    if list(own) != list(inputs):
        msg = f"{found.name} has the inputs {', '.join(own)}; the store has {', '.join(inputs)}: give the model that made it"
        raise InputError(msg)
    return found.model


def _folder(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return what there is in the kept folder of an evaluation; None if it is not here."""
    if evaluation.workdir is None or not Path(evaluation.workdir).is_dir():
        return None
    folder = Path(evaluation.workdir)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "path": evaluation.workdir,
        "files": {path.relative_to(folder).as_posix(): path.stat().st_size for path in files},
        "tail": tail(folder),
    }


def _tell_folder(evaluation: Evaluation, folder: dict[str, Any] | None) -> None:
    """Print what there is in the kept folder of an evaluation."""
    if folder is None:
        if evaluation.workdir is not None:
            click.echo(f"\nThe work directory is not here; it was on {evaluation.host or 'another machine'}.")
        return
    # The error has the ends of the streams already, if the code failed.
    if folder["tail"] and "last lines of" not in evaluation.error:
        click.echo(f"\n{folder['tail']}")
    sizes = list(folder["files"].items())
    click.echo("\nfiles in the work directory:")
    click.echo("\n".join(f"  {name} ({size} bytes)" for name, size in sizes[:_FILES]))
    if len(sizes) > _FILES:
        click.echo(f"  and {len(sizes) - _FILES} more")
    if SCRIPT in folder["files"]:
        click.echo(f"again by hand: sh {shlex.quote(os.path.join(folder['path'], SCRIPT))}")


@click.command("failures", cls=Command)
@store_argument
@_json
def failures(options: Any) -> int:
    """Group the failures of STORE by why they failed, and say which inputs tell them from good points.

    Errors that differ only in numbers, paths and the like are of one group. A range of an input is named only
    where chance would hardly put the failures there.
    """
    with opened(options.store) as store:
        inputs, outputs = store.description()
        report = explain_failures(store)
    if not options.as_json:
        click.echo(str(report))
        return 0
    groups = [
        {
            "status": group.status,
            "cause": group.cause,
            "message": group.message,
            "count": len(group.ids),
            "ids": list(group.ids),
            "regions": [region.as_dict() for region in group.regions],
            "example": {"id": group.ids[0], **record_of(inputs, outputs, group.example)},
        }
        for group in report.groups
    ]
    echo_json(
        {
            "points": report.points,
            "failed": report.failed,
            "regions": [region.as_dict() for region in report.regions],
            "groups": groups,
        }
    )
    return 0
