"""The command line: `otwrap ...`, and the same for a wrapper's own file.

click is imported when a command line is read, and not by ``import otwrap``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["cli", "main"]


def cli(arguments: Sequence[str] | None = None, *, prog_name: str | None = None) -> None:
    """Run the command `otwrap`; it ends the process.

    Parameters
    ----------
    arguments : sequence of str, optional
        What stands after the command's name. Default is the command line of this process.
    prog_name : str, optional
        The command's name in its messages. Default is that of the program that runs.

    Raises
    ------
    SystemExit
        Always. The status is 0 if all went well, 1 if something failed, 2 if the arguments are wrong
        and 130 if it was interrupted.

    Examples
    --------
    >>> from otwrap.cli import cli
    >>> cli(["--version"], prog_name="otwrap")
    Traceback (most recent call last):
    ...
    SystemExit: 0
    """
    from .group import otwrap

    otwrap.main(args=None if arguments is None else list(arguments), prog_name=prog_name)


def main(model: Any, arguments: Sequence[str] | None = None) -> None:
    """Give a wrapper's file a command line of its own; it ends the process.

    ``python wrapper.py -X 170 3 0.05`` then prints the answer with all its digits, and leaves the input
    and the output in files that tasks running side by side do not overwrite. ``python wrapper.py --help``
    tells the rest: samples, preparing runs for elsewhere, the doctor.

    Parameters
    ----------
    model : Wrapper, ot.Function, ot.OpenTURNSPythonFunction, class or callable
        The model, its class, or a function that returns it.
    arguments : sequence of str, optional
        What stands after the file's name. Default is the command line of this process.

    Raises
    ------
    SystemExit
        Always. The status is 0 if all went well, 1 if an evaluation failed, 2 if the arguments are wrong
        and 130 if it was interrupted.

    Examples
    --------
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> otw.main(ot.SymbolicFunction(["a", "b"], ["a - b"]), ["-X", "1", "-2", "--no-dump"])
    Traceback (most recent call last):
    ...
    SystemExit: 0
    """
    from .group import ModelGroup

    ModelGroup(model).main(args=None if arguments is None else list(arguments))
