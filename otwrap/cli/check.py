"""`otwrap check`: the doctor of a wrapper."""

from __future__ import annotations

from typing import Any

import click

from ..doctor import examine
from ..evaluator import evaluator_of
from ..models import Found
from .command import Command
from .output import echo_json, prints_on_stderr
from .samples import found_of, model_argument, point_of

__all__ = ["check"]


@click.command("check", cls=Command)
@model_argument
@click.option(
    "-X",
    "point",
    multiple=True,
    metavar="VALUE...",
    help="The point to try. Default is the nominal one, or the mean.",
)
@click.option(
    "-n",
    "--points",
    type=click.IntRange(min=1),
    default=1000,
    help="Estimate time and disk for so many points. Default is 1000.",
)
@click.option(
    "--backend",
    metavar="NAME",
    default="multiprocessing",
    help="The backend to compare with serial. Of an engine such as dask, every worker runs the point.",
)
@click.option(
    "--n-cpus",
    type=click.IntRange(min=1),
    help="CPUs of the parallel run. Default is 2, or all that an engine has.",
)
@click.option("--stochastic", is_flag=True, help="The model gives another answer each time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nan is null.")
def check(options: Any) -> int:
    """Examine MODEL: its files, its command, its tokens, its answers here and in parallel.

    The exit status is 0 if all is well, and 1 if something is to be mended.
    """
    found = found_of(options.model)
    inputs = evaluator_of(found.model).inputs
    point = point_of(options.point, inputs) if options.point else _mean(found)
    with prints_on_stderr():
        report = examine(
            found.model,
            point=point,
            n_points=options.points,
            backend=options.backend,
            n_cpus=options.n_cpus,
            stochastic=options.stochastic,
        )
    if options.as_json:
        echo_json(report.as_dict())
    else:
        click.echo(str(report))
    return 0 if report.ok else 1


def _mean(found: Found) -> tuple[float, ...] | None:
    """Return the mean of a distribution that stands beside a model which has none of its own."""
    own = [getattr(found.model, name, None) for name in ("nominal", "distribution")]
    if any(value is not None for value in own) or "distribution" not in found.names:
        return None
    return tuple(found.distribution().getMean())
