"""`otwrap run`: evaluate a point, a design or random points, and print the answer."""

from __future__ import annotations

import math
import signal
from typing import Any

import click

from ..campaign import Campaign
from ..evaluation import Evaluation
from ..evaluator import Evaluator, evaluator_of
from ..failures import failure_value
from ..fields import abridged, listed
from .command import Command
from .dumping import dump_pair
from .output import aligned, echo_json, note, prints_on_stderr, record_of, remark
from .samples import Points, found_of, model_argument, points_of, sample_options

__all__ = ["run"]

_SHOWN = 10


def _failure_choice(ctx: click.Context, param: click.Parameter, value: str) -> str | float:
    """Return what stands for the output of a failed point."""
    if value in ("raise", "nan"):
        return value
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r}: accepted are raise, nan and a number") from None


def _check_n_cpus(ctx: click.Context, param: click.Parameter, value: int) -> int:
    """Refuse what is no number of CPUs."""
    if value < 1 and value != -1:
        raise click.BadParameter(f"{value}: give a positive number, or -1 for every CPU that can be used")
    return value


@click.command("run", cls=Command)
@model_argument
@sample_options
@click.option(
    "--backend",
    metavar="NAME",
    help="Where the evaluations run, see `otwrap backends`. Default is serial for -X, else multiprocessing.",
)
@click.option(
    "--n-cpus",
    type=int,
    default=-1,
    callback=_check_n_cpus,
    help="CPUs to use; -1 (default) is every one that can be used.",
)
@click.option(
    "--store", metavar="FILE", help="Keep every evaluation there; points that it knows are not run again."
)
@click.option(
    "--on-failure",
    default="raise",
    metavar="raise|nan|VALUE",
    callback=_failure_choice,
    help="What stands for the output of a failed point: an error after all others are finished (default), "
    "nan or a value.",
)
@click.option(
    "--on-change",
    type=click.Choice(["refuse", "rerun"]),
    default="refuse",
    help="What happens if the store was made by a model that differs. Default is refuse.",
)
@click.option(
    "--stochastic",
    is_flag=True,
    help="The model gives another answer each time: a point that comes twice is run twice.",
)
@click.option(
    "--dump",
    metavar="[FOLDER]",
    is_flag=False,
    flag_value=".",
    help="Leave input and output there, as load_array reads them; files of tasks running side by side have "
    "names of their own. A model's own command line does so in the current folder.",
)
@click.option("--no-dump", is_flag=True, help="Leave no such files.")
@click.option("--quiet", is_flag=True, help="No progress bar and no remarks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nan is null.")
def run(options: Any) -> int:
    """Evaluate MODEL and print the answer with all its digits.

    The points are one, given by -X, those of a --design, or random ones, by --monte-carlo. The answer stands
    alone on the standard output; progress, remarks and failures are told on the standard error.

    Give MODEL before -X, since all numbers that follow -X are the values of the point.
    """
    if options.dump is not None and options.no_dump:
        raise click.UsageError("--dump and --no-dump are both given")
    found = found_of(options.model)
    evaluator = evaluator_of(found.model)
    points = points_of(found, evaluator.inputs, options)
    with prints_on_stderr(), _campaign(evaluator, options) as campaign:
        evaluations = _evaluated(campaign, points)
    results = _Results(campaign, points, evaluations, options)
    dumped = results.dump(by_default=not isinstance(options.model, str))
    if options.as_json:
        echo_json({**results.as_dict(), "dumped": dumped})
    else:
        results.echo()
    return results.tell_failures()


def _campaign(evaluator: Evaluator, options: Any) -> Campaign:
    """Return the campaign that the options ask for."""
    return Campaign(
        evaluator,
        options.backend or ("serial" if options.point else "multiprocessing"),
        options.n_cpus,
        store=options.store,
        on_change=options.on_change,
        stochastic=options.stochastic,
        verbosity=not options.quiet,
    )


def _evaluated(campaign: Campaign, points: Points) -> list[Evaluation]:
    """Return the evaluations; an interruption says what was kept."""
    before = len(campaign.store)
    if hasattr(signal, "siginterrupt"):
        # Each call into OpenTURNS leaves a handler after which waiting for a code goes on in spite of Ctrl-C.
        signal.siginterrupt(signal.SIGINT, True)
    try:
        return campaign.map(points.values)
    except KeyboardInterrupt:
        count = len(campaign.store) - before
        if campaign.store.in_memory:
            text = f"interrupted: {count} evaluation(s) are lost with this process; --store FILE keeps them"
        else:
            text = (
                f"interrupted: {count} evaluation(s) of this call are kept in {campaign.store.path}; "
                "the same command goes on from there"
            )
        raise KeyboardInterrupt(text) from None


class _Results:
    """The evaluations of one call, and how they are told."""

    def __init__(
        self, campaign: Campaign, points: Points, evaluations: list[Evaluation], options: Any
    ) -> None:
        self.inputs, self.outputs = campaign.evaluator.inputs, campaign.evaluator.outputs
        self.store = None if campaign.store.in_memory else campaign.store.path
        self.points = points
        self.evaluations = evaluations
        self.options = options
        self.substitute = failure_value(options.on_failure)
        self.failures = [
            (i, evaluation) for i, evaluation in enumerate(evaluations) if evaluation.output is None
        ]

    def pairs(self) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
        """Return point and output of what is done, and of what failed if something stands for its output."""
        instead = None if self.substitute is None else (self.substitute,) * len(self.outputs)
        outputs = [
            instead if evaluation.output is None else evaluation.output for evaluation in self.evaluations
        ]
        return [(point, y) for point, y in zip(self.points.values, outputs, strict=True) if y is not None]

    def dump(self, *, by_default: bool) -> list[str]:
        """Write input and output if that is wanted, and return the names of the files."""
        options = self.options
        pairs = self.pairs()
        if not pairs or options.no_dump or (options.dump is None and not by_default):
            return []
        X, Y = zip(*pairs, strict=True)
        names = dump_pair(
            options.dump or ".", X[0] if self.points.single else X, Y[0] if self.points.single else Y
        )
        some = (
            ""
            if len(pairs) == len(self.evaluations)
            else f" ({len(pairs)} of {len(self.evaluations)} points)"
        )
        remark(f"dumped{some}: {names[0]} and {names[1]}")
        return names

    def statistics(self) -> dict[str, dict[str, float | None]]:
        """Return mean and standard deviation of each output over the done points."""
        import numpy as np

        done = np.array(
            [evaluation.output for evaluation in self.evaluations if evaluation.output is not None]
        )
        found: dict[str, dict[str, float | None]] = {}
        for i, name in enumerate(self.outputs):
            mean = float(done[:, i].mean()) if len(done) else None
            found[name] = {"mean": mean, "std": float(done[:, i].std(ddof=1)) if len(done) > 1 else None}
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON can say it."""
        records = [record_of(self.inputs, self.outputs, evaluation) for evaluation in self.evaluations]
        if self.points.single:
            return {**records[0], "store": self.store}
        return {
            "points": len(records),
            "done": len(records) - len(self.failures),
            "failed": len(self.failures),
            "statistics": self.statistics(),
            "store": self.store,
            "evaluations": records,
        }

    def echo(self) -> None:
        """Print the answer."""
        if self.points.single:
            for _, output in self.pairs():
                click.echo(listed(self.outputs, output, between="\n"))
            return
        size, failed = len(self.evaluations), len(self.failures)
        click.echo(f"points   {size}\ndone     {size - failed}\nfailed   {failed}")
        click.echo(f"records  {self.store or 'in memory until now; --store FILE keeps them'}\n")
        statistics = [
            (name, _shown(line["mean"]), _shown(line["std"])) for name, line in self.statistics().items()
        ]
        rows = [("...",) * 3 if i is None else statistics[i] for i in abridged(self.outputs)]
        click.echo(aligned([["output", "mean", "std"], *rows]))
        if failed:
            click.echo(f"(mean and std of the {size - failed} points that are done)")

    def tell_failures(self) -> int:
        """Print what failed, and return the exit status."""
        if not self.failures:
            return 0
        if self.points.single:
            evaluation = self.failures[0][1]
            note(f"Error: {evaluation.status} ({evaluation.cause}): {evaluation.error}")
        else:
            self._list_failures()
        return 1 if self.substitute is None else 0

    def _list_failures(self) -> None:
        """Print the failed points of a sample."""
        note(f"Error: {len(self.failures)} of {len(self.evaluations)} points failed")
        for i, evaluation in self.failures[:_SHOWN]:
            values = ", ".join(
                f"{name}={value!r}" for name, value in zip(self.inputs, evaluation.point, strict=True)
            )
            text = evaluation.error.replace("\n", "\n    ")
            note(f"- point {i}: {values}: {evaluation.status} ({evaluation.cause}): {text}")
        if len(self.failures) > _SHOWN:
            where = (
                f"otwrap failures {self.store}"
                if self.store
                else "--json, or --store FILE and `otwrap failures FILE`"
            )
            note(f"- and {len(self.failures) - _SHOWN} more: see {where}")


def _shown(value: float | None) -> str:
    """Return a statistic with all its digits."""
    return "-" if value is None or math.isnan(value) else repr(value)
