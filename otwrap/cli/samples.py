"""The points of a command: one from ``-X``, those of a design or a grid, or some drawn at random."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from ..designs import read_design
from ..drafts import GrammarError, read_values
from ..models import Found, find_model
from .output import remark

__all__ = ["Points", "found_of", "model_argument", "point_of", "points_of", "sample_options"]

_MOST = 1_000_000

model_argument = click.argument("model", metavar="MODEL")


class Points(NamedTuple):
    """What is to be evaluated.

    Attributes
    ----------
    values : list of tuple of float, shape (size, input dimension)
        The points.
    single : bool
        Whether it is one point, given by ``-X``.
    """

    values: list[tuple[float, ...]]
    single: bool


def found_of(model: Any) -> Found:
    """Return the model that a command is for.

    Parameters
    ----------
    model : str or ModelGroup
        What the user typed, or the group of a model's own command line.

    Returns
    -------
    found : Found
    """
    found: Found = find_model(model) if isinstance(model, str) else model.found
    return found


def sample_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which points.

    Parameters
    ----------
    command : callable
        The callback of a command.

    Returns
    -------
    command : callable
    """
    for option in reversed(
        [
            click.option(
                "-X", "point", multiple=True, metavar="VALUE...", help="One point: a value for each input."
            ),
            click.option(
                "--design",
                metavar="FILE.csv",
                help="The points of a file: columns by name if the first line has the names of the inputs, "
                "by position if it has none.",
            ),
            click.option(
                "--grid",
                multiple=True,
                metavar="NAME=VALUES",
                help="All combinations of the values of some inputs, the others at the nominal point; once for each "
                "input, as in --grid F=[1,2,5] --grid 'E=linspace(1, 2, 5)'. A range is start:step:end, and "
                "logspace(a, b, n) goes from 10^a to 10^b.",
            ),
            click.option(
                "--monte-carlo", type=click.IntRange(min=1), metavar="N", help="N points drawn at random."
            ),
            click.option(
                "--seed", type=click.IntRange(min=0), metavar="S", help="Of the random points. Default is 0."
            ),
            click.option(
                "--distribution",
                metavar="NAME",
                help="Of the random points: a name in the model's file. Default is the model's own, else the "
                "name `distribution`.",
            ),
        ]
    ):
        command = option(command)
    return command


def points_of(found: Found, inputs: Sequence[str], options: Any) -> Points:
    """Return the points that the options ask for.

    Parameters
    ----------
    found : Found
        The model.
    inputs : sequence of str
        Its input description.
    options : object
        With the attributes of :func:`sample_options`.

    Returns
    -------
    points : Points

    Raises
    ------
    click.UsageError
        If there is not exactly one of these ways, or a value is no number.
    DesignError, ModelError
        If the design or the distribution does not fit.
    """
    ways = [
        bool(options.point),
        options.design is not None,
        bool(options.grid),
        options.monte_carlo is not None,
    ]
    if sum(ways) != 1:
        raise click.UsageError(
            f"give exactly one of -X VALUE..., --design FILE.csv, --grid NAME=VALUES and --monte-carlo N; "
            f"{sum(ways)} are given"
        )
    if options.monte_carlo is None and (options.seed is not None or options.distribution is not None):
        raise click.UsageError("--seed and --distribution go with --monte-carlo N")
    if options.point:
        return Points([point_of(options.point, inputs)], True)
    if options.design is not None:
        return Points(_designed(options.design, inputs), False)
    if options.grid:
        return Points(_combined(found, inputs, options.grid), False)
    return Points(_drawn(found, inputs, options), False)


def point_of(texts: Sequence[str], inputs: Sequence[str]) -> tuple[float, ...]:
    """Return the point of ``-X``.

    Parameters
    ----------
    texts : sequence of str
        As typed.
    inputs : sequence of str
        The input description.

    Returns
    -------
    point : tuple of float, shape (input dimension,)

    Raises
    ------
    click.UsageError
        If a text is no finite number, or their number is wrong.
    """
    values = []
    for position, text in enumerate(texts):
        name = f" ({inputs[position]})" if position < len(inputs) else ""
        try:
            value = float(text)
        except ValueError:
            hint = "; separate the values by spaces" if "," in text else ""
            raise click.UsageError(
                f"-X: value {position + 1}{name} is {text!r}, not a number{hint}"
            ) from None
        if not math.isfinite(value):
            raise click.UsageError(f"-X: value {position + 1}{name} is {text!r}, not a finite number")
        values.append(value)
    if len(values) != len(inputs):
        raise click.UsageError(
            f"-X has {len(values)} value(s); {len(inputs)} are expected: {', '.join(inputs)}"
        )
    return tuple(values)


def _designed(path: str, inputs: Sequence[str]) -> list[tuple[float, ...]]:
    """Return the points of a file, and say how its columns were taken."""
    design = read_design(path, inputs)
    if not design.named:
        remark(f"{path} has no line of names: its columns are taken as {', '.join(inputs)}")
    if design.ignored:
        remark(f"{path}: columns that are no input are left out: {', '.join(map(repr, design.ignored))}")
    return design.points


def _combined(found: Found, inputs: Sequence[str], grid: Sequence[str]) -> list[tuple[float, ...]]:
    """Return all combinations of the values of some inputs; those of the last one change fastest."""
    values: dict[str, list[float]] = {}
    for text in grid:
        name, equals, typed = (part.strip() for part in text.partition("="))
        if not equals or name not in inputs:
            close = difflib.get_close_matches(name, inputs, 1)
            hint = f"; is {close[0]!r} meant?" if equals and close else ""
            raise click.UsageError(f"--grid {text}: NAME=VALUES is expected, of {', '.join(inputs)}{hint}")
        if name in values:
            raise click.UsageError(f"--grid {text}: {name} is given twice; its values go into one list")
        try:
            values[name] = read_values(typed)
        except GrammarError as error:
            raise click.UsageError(f"--grid {name}: {error}") from None
    nominal: Any = getattr(found.model, "nominal", None)
    if nominal is None and (rest := [name for name in inputs if name not in values]):
        raise click.UsageError(
            f"{found.name} has no nominal point: give --grid for {', '.join(rest)} too, of one value if need be"
        )
    levels = [values.get(name) or [nominal[i]] for i, name in enumerate(inputs)]
    size = math.prod(map(len, levels))
    if size > _MOST:
        raise click.UsageError(f"--grid: these are {size} points; at most {_MOST} are made")
    remark(f"{size} points: {' x '.join(str(len(level)) for level in levels)}")
    return list(itertools.product(*levels))


def _drawn(found: Found, inputs: Sequence[str], options: Any) -> list[tuple[float, ...]]:
    """Return random points, with the components in the order of the inputs."""
    import openturns as ot

    distribution = found.distribution(options.distribution)
    if distribution.getDimension() != len(inputs):
        raise click.UsageError(
            f"the distribution has dimension {distribution.getDimension()}; {len(inputs)} is expected: "
            f"{', '.join(inputs)}"
        )
    seed = 0 if options.seed is None else options.seed
    ot.RandomGenerator.SetSeed(seed)
    remark(f"{options.monte_carlo} points drawn with seed {seed}")
    sample = distribution.getSample(options.monte_carlo)
    order = _order(list(distribution.getDescription()), list(inputs))
    return [tuple(point[i] for i in order) for point in sample]


def _order(description: Sequence[str], inputs: Sequence[str]) -> list[int]:
    """Return which component of a distribution is which input: by name if the names are the same ones."""
    if sorted(description) == sorted(inputs) and list(description) != list(inputs):
        remark(f"the distribution is of {', '.join(description)}: its components are matched by name")
        return [description.index(name) for name in inputs]
    if set(description) & set(inputs) and list(description) != list(inputs):
        name = next(name for name in inputs if name not in description)
        close = difflib.get_close_matches(name, description, 1)
        hint = f"; is {close[0]!r} meant for {name!r}?" if close else ""
        raise click.UsageError(
            f"the distribution is of {', '.join(description)}, the inputs are {', '.join(inputs)}{hint}"
        )
    return list(range(len(inputs)))
