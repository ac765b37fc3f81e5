"""The groups of commands: `otwrap`, and that of one model's own file."""

from __future__ import annotations

import sys
from functools import cached_property
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

from ..errors import OtwrapError
from ..fields import listed
from ..models import Found, make_model
from .command import Command

__all__ = ["ModelGroup", "otwrap"]

#: Command -> the module that has it, in the order of the help.
_COMMANDS = {
    "new": "new",
    "run": "run",
    "check": "check",
    "prepare": "elsewhere",
    "submit": "queues",
    "status": "records",
    "collect": "elsewhere",
    "resubmit": "queues",
    "cancel": "queues",
    "logs": "queues",
    "push": "elsewhere",
    "pull": "elsewhere",
    "profiles": "profiles",
    "show": "records",
    "failures": "records",
    "replay": "replay",
    "export": "export",
    "import": "imports",
    "store": "store",
    "backends": "backends",
}


class _Group(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f".{_COMMANDS[cmd_name]}", __package__)
        # `import` is a word of Python, and others are functions that the command calls.
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(module, f"{name}_command", None) or getattr(module, name)
        return command


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("otwrap")
        except PackageNotFoundError:
            number = "(not installed)"
        click.echo(f"otwrap {number}")
        ctx.exit()


@click.group(name="otwrap", cls=_Group)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def otwrap() -> None:
    """Run an external simulation code as a function: anywhere, and without losing a point.

    MODEL is path/to/file.py:Name or package.module:Name; the name can be left out where the file has one
    model only. The exit status is 0 if all went well, 1 if something failed, 2 if the arguments are wrong
    and 130 if it was interrupted.
    """


class ModelGroup(_Group):
    """The commands of one model; without the word of a command, ``run`` is meant.

    Parameters
    ----------
    thing : object
        The model, its class, or a function that returns it.
    """

    def __init__(self, thing: Any) -> None:
        super().__init__(name=getattr(thing, "__name__", type(thing).__name__))
        self.thing = thing

    @cached_property
    def found(self) -> Found:
        """The model and the names of its module, made when it is needed."""
        name = getattr(self.thing, "__name__", None) or type(self.thing).__name__
        return Found(make_model(self.thing), name, _names_around(self.thing))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, with the model in it."""
        command = super().get_command(ctx, cmd_name)
        if isinstance(command, Command) and any(parameter.name == "model" for parameter in command.params):
            return command.of_model(self)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; options alone are those of ``run``."""
        if args and args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the model is, and how it is run."""
        from ..evaluator import evaluator_of

        try:
            model = self.found.model
            evaluator = evaluator_of(model)
        except OtwrapError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)
        with formatter.indentation():
            formatter.write_paragraph()
            formatter.write_text(f"{self.found.name}: {_summary(self.thing) or 'a model of otwrap.'}")
            formatter.write_paragraph()
            formatter.write_dl(
                [("inputs", ", ".join(evaluator.inputs)), ("outputs", listed(evaluator.outputs))]
            )
            formatter.write_paragraph()
            values = " ".join(name.upper() for name in evaluator.inputs)
            formatter.write_text(f"Without a command, `run` is meant, as in: {ctx.command_path} -X {values}")


def _summary(thing: Any) -> str:
    """Return the first sentence of the docstring that a class or a function has of its own."""
    import inspect

    target = thing if isinstance(thing, type) or inspect.isfunction(thing) else type(thing)
    if target.__module__.startswith("openturns"):
        return ""
    return (target.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _names_around(thing: Any) -> dict[str, Any]:
    """Return the names of the module that a model comes from."""
    module = sys.modules.get(getattr(thing, "__module__", "__main__"))
    if module is None or module.__name__.partition(".")[0] in ("openturns", "otwrap"):
        # An instance of a class of ours: the script that asked for a command line has made it.
        module = sys.modules.get("__main__")
    return dict(vars(module)) if module is not None else {}
