"""`otwrap status · show · failures`: what a store holds, without touching it."""

from __future__ import annotations

import math
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..evaluation import STATUSES, Evaluation
from ..fields import listed
from ..store import Store
from .command import Command
from .output import aligned, echo_json, record_of

__all__ = ["failures", "opened", "show", "status", "store_argument"]

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
@store_argument
@_json
def status(options: Any) -> int:
    """Count the evaluations of STORE by status and cause, and tell their times."""
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
@_json
def show(options: Any) -> int:
    """Show the evaluation ID of STORE, as `failures` and `export` number them."""
    with opened(options.store) as store:
        inputs, outputs = store.description()
        evaluation = store.evaluation(options.number)
    record = record_of(inputs, outputs, evaluation)
    if options.as_json:
        echo_json({"id": options.number, **record})
        return 0
    for name, value in record["input"].items():
        click.echo(f"{name} = {value!r}")
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
    return 0


@click.command("failures", cls=Command)
@store_argument
@_json
def failures(options: Any) -> int:
    """Group the failed evaluations of STORE by cause, each with an example."""
    with opened(options.store) as store:
        inputs, outputs = store.description()
        groups: dict[tuple[str, str], list[tuple[int, Evaluation]]] = {}
        for number, evaluation in store.items():
            if not evaluation.done:
                groups.setdefault((evaluation.status, evaluation.cause), []).append((number, evaluation))
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    if options.as_json:
        echo_json(
            [
                {
                    "status": key[0],
                    "cause": key[1],
                    "count": len(members),
                    "ids": [number for number, _ in members],
                    "example": {"id": members[0][0], **record_of(inputs, outputs, members[0][1])},
                }
                for key, members in ordered
            ]
        )
        return 0
    if not ordered:
        click.echo("no failures")
    for key, members in ordered:
        number, example = members[0]
        values = ", ".join(f"{name}={value!r}" for name, value in zip(inputs, example.point, strict=False))
        click.echo(f"{key[0]} ({key[1]}): {len(members)} point(s), for example {number}: {values}")
        click.echo("    " + example.error.replace("\n", "\n    "))
    return 0
