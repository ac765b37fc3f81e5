"""What all commands share: how errors are told, and how a point is read from the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import click

from ..designs import DesignError
from ..errors import OtwrapError
from ..models import ModelError

__all__ = ["Command", "gather_point"]


class Command(click.Command):
    """A command whose errors are messages, and whose ``-X`` takes any number of values.

    Its callback takes one object with an attribute for each parameter, and returns the exit status.

    Parameters
    ----------
    name : str
        What the user types.
    given : object, optional
        The model of a command line that belongs to one model; it takes the place of the argument MODEL.
    **attributes
        As for :class:`click.Command`.
    """

    def __init__(self, name: str | None, *, given: Any = None, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.given = given
        if not any(parameter.name == "traceback" for parameter in self.params):
            self.params.append(
                click.Option(["--traceback"], is_flag=True, help="Show where in the code an error came up.")
            )

    def of_model(self, model: Any) -> Command:
        """Return the same command for one model, without the argument MODEL.

        Parameters
        ----------
        model : object
            What the callback finds as `model`.

        Returns
        -------
        command : Command
        """
        params = [parameter for parameter in self.params if parameter.name != "model"]
        return Command(self.name, given=model, callback=self.callback, params=params, help=self.help)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, see :func:`gather_point`."""
        if any(parameter.name == "point" for parameter in self.params):
            args = gather_point(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Run the command and turn what goes wrong into a message and an exit status."""
        options = SimpleNamespace(**ctx.params)
        if self.given is not None:
            options.model = self.given
        try:
            status = ctx.invoke(self.callback, options) if self.callback else 0
        except KeyboardInterrupt as interrupt:
            click.echo(str(interrupt) or "interrupted", err=True)
            ctx.exit(130)
        except (OtwrapError, OSError) as error:
            if options.traceback or isinstance(error, BrokenPipeError):
                raise
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2 if isinstance(error, (ModelError, DesignError)) else 1)
        sys.stdout.flush()
        ctx.exit(status or 0)


def gather_point(arguments: Sequence[str]) -> list[str]:
    """Return arguments in which each value after ``-X`` has an ``-X`` of its own.

    All that follows ``-X`` is a value, up to the next option; ``-1e-3`` is a number and no option.

    Parameters
    ----------
    arguments : sequence of str
        As typed.

    Returns
    -------
    arguments : list of str
        As click reads them.

    Raises
    ------
    click.UsageError
        If ``-X`` comes twice or has no value.

    Examples
    --------
    >>> gather_point(["model.py", "-X", "1", "-2", "--json"])
    ['model.py', '-X', '1', '-X', '-2', '--json']
    """
    gathered: list[str] = []
    waiting = list(arguments)
    found = False
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            return [*gathered, argument, *waiting]
        attached = argument[2:].removeprefix("=")
        if not argument.startswith("-X") or (attached and not _is_value(attached)):
            gathered.append(argument)
            continue
        if found:
            raise click.UsageError("-X is given twice; several points are given by --design FILE.csv")
        found = True
        values = [attached] if attached else []
        while waiting and _is_value(waiting[0]):
            values.append(waiting.pop(0))
        if not values:
            raise click.UsageError("-X has no values; give one for each input, as in -X 170 3 0.05")
        gathered += [part for value in values for part in ("-X", value)]
    return gathered


def _is_value(argument: str) -> bool:
    """Return whether an argument is a value rather than an option."""
    if not argument.startswith("-"):
        return True
    try:
        float(argument)
    except ValueError:
        return False
    return True
